// float32
// in:  float32 g, float32 keep, float32 c1, float32 beta2, float32 c2, float32 adam, float32 rate, float32 eps
// out: float32 theta, float32 m, float32 v
const float m_new = keep * m + c1 * g;
const float v_new = beta2 * v + c2 * (g * g);
const float theta_new = theta - rate * m_new / (adam * (v_new + (float)1) > (float)0 ? sqrt(v_new) + eps : (float)1.0);
theta = theta_new;
m = m_new;
v = v_new;

// float64
// in:  float64 g, float64 keep, float64 c1, float64 beta2, float64 c2, float64 adam, float64 rate, float64 eps
// out: float64 theta, float64 m, float64 v
const double m_new = keep * m + c1 * g;
const double v_new = beta2 * v + c2 * (g * g);
const double theta_new = theta - rate * m_new / (adam * (v_new + (double)1) > (double)0 ? sqrt(v_new) + eps : (double)1.0);
theta = theta_new;
m = m_new;
v = v_new;

// float16
// in:  float16 g_16, float32 keep, float32 c1, float32 beta2, float32 c2, float32 adam, float32 rate, float32 eps
// out: float16 theta_16, float32 m, float32 v
const float theta = (float)theta_16;
const float g = (float)g_16;
const float m_new = keep * m + c1 * g;
const float v_new = beta2 * v + c2 * (g * g);
const float theta_new = theta - rate * m_new / (adam * (v_new + (float)1) > (float)0 ? sqrt(v_new) + eps : (float)1.0);
theta_16 = float16(theta_new);
m = m_new;
v = v_new;

// bfloat16
// in:  uint16 g_16, float32 keep, float32 c1, float32 beta2, float32 c2, float32 adam, float32 rate, float32 eps
// out: uint16 theta_16, float32 m, float32 v
const float theta = __uint_as_float((unsigned int)theta_16 << 16);
const float g = __uint_as_float((unsigned int)g_16 << 16);
const float m_new = keep * m + c1 * g;
const float v_new = beta2 * v + c2 * (g * g);
const float theta_new = theta - rate * m_new / (adam * (v_new + (float)1) > (float)0 ? sqrt(v_new) + eps : (float)1.0);
theta_16 = theta_new != theta_new ? 0x7fc0 : (__float_as_uint(theta_new) + 0x7fff + (__float_as_uint(theta_new) >> 16 & 1)) >> 16;
m = m_new;
v = v_new;
