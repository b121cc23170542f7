// float32
// in:  float32 g, float32 momentum, float32 c1, float32 c2
// out: float32 theta, float32 m
const float m_new = momentum * m + c1 * g;
const float theta_new = theta - m_new - c2 * theta;
theta = theta_new;
m = m_new;

// float64
// in:  float64 g, float64 momentum, float64 c1, float64 c2
// out: float64 theta, float64 m
const double m_new = momentum * m + c1 * g;
const double theta_new = theta - m_new - c2 * theta;
theta = theta_new;
m = m_new;

// float16
// in:  float16 g_16, float32 momentum, float32 c1, float32 c2
// out: float16 theta_16, float32 m
const float theta = (float)theta_16;
const float g = (float)g_16;
const float m_new = momentum * m + c1 * g;
const float theta_new = theta - m_new - c2 * theta;
theta_16 = float16(theta_new);
m = m_new;

// bfloat16
// in:  uint16 g_16, float32 momentum, float32 c1, float32 c2
// out: uint16 theta_16, float32 m
const float theta = __uint_as_float((unsigned int)theta_16 << 16);
const float g = __uint_as_float((unsigned int)g_16 << 16);
const float m_new = momentum * m + c1 * g;
const float theta_new = theta - m_new - c2 * theta;
theta_16 = theta_new != theta_new ? 0x7fc0 : (__float_as_uint(theta_new) + 0x7fff + (__float_as_uint(theta_new) >> 16 & 1)) >> 16;
m = m_new;
