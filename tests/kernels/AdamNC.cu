// float32
// in:  float32 g, float32 beta1, float32 c1, float32 c2, float32 c3, float32 eps, float32 lr
// out: float32 theta, float32 m, float32 v
const float m_new = beta1 * m + c1 * g;
const float v_new = c2 * v + c3 * (g * g);
const float root = sqrt(v_new) + eps;
const float theta_new = theta - lr * m_new / (root > (float)0 ? root : (float)1.0);
theta = theta_new;
m = m_new;
v = v_new;

// float64
// in:  float64 g, float64 beta1, float64 c1, float64 c2, float64 c3, float64 eps, float64 lr
// out: float64 theta, float64 m, float64 v
const double m_new = beta1 * m + c1 * g;
const double v_new = c2 * v + c3 * (g * g);
const double root = sqrt(v_new) + eps;
const double theta_new = theta - lr * m_new / (root > (double)0 ? root : (double)1.0);
theta = theta_new;
m = m_new;
v = v_new;

// float16
// in:  float16 g_16, float32 beta1, float32 c1, float32 c2, float32 c3, float32 eps, float32 lr
// out: float16 theta_16, float32 m, float32 v
const float theta = (float)theta_16;
const float g = (float)g_16;
const float m_new = beta1 * m + c1 * g;
const float v_new = c2 * v + c3 * (g * g);
const float root = sqrt(v_new) + eps;
const float theta_new = theta - lr * m_new / (root > (float)0 ? root : (float)1.0);
theta_16 = float16(theta_new);
m = m_new;
v = v_new;

// bfloat16
// in:  uint16 g_16, float32 beta1, float32 c1, float32 c2, float32 c3, float32 eps, float32 lr
// out: uint16 theta_16, float32 m, float32 v
const float theta = __uint_as_float((unsigned int)theta_16 << 16);
const float g = __uint_as_float((unsigned int)g_16 << 16);
const float m_new = beta1 * m + c1 * g;
const float v_new = c2 * v + c3 * (g * g);
const float root = sqrt(v_new) + eps;
const float theta_new = theta - lr * m_new / (root > (float)0 ? root : (float)1.0);
theta_16 = theta_new != theta_new ? 0x7fc0 : (__float_as_uint(theta_new) + 0x7fff + (__float_as_uint(theta_new) >> 16 & 1)) >> 16;
m = m_new;
v = v_new;
