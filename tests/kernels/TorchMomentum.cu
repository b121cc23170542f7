// float32
// in:  float32 g, float32 momentum, float32 share, float32 lr
// out: float32 theta, float32 m
const float m_new = momentum * m + share * g;
const float theta_new = theta - lr * m_new;
theta = theta_new;
m = m_new;

// float64
// in:  float64 g, float64 momentum, float64 share, float64 lr
// out: float64 theta, float64 m
const double m_new = momentum * m + share * g;
const double theta_new = theta - lr * m_new;
theta = theta_new;
m = m_new;

// float16
// in:  float16 g_16, float32 momentum, float32 share, float32 lr
// out: float16 theta_16, float32 m
const float theta = (float)theta_16;
const float g = (float)g_16;
const float m_new = momentum * m + share * g;
const float theta_new = theta - lr * m_new;
theta_16 = float16(theta_new);
m = m_new;

// bfloat16
// in:  uint16 g_16, float32 momentum, float32 share, float32 lr
// out: uint16 theta_16, float32 m
const float theta = __uint_as_float((unsigned int)theta_16 << 16);
const float g = __uint_as_float((unsigned int)g_16 << 16);
const float m_new = momentum * m + share * g;
const float theta_new = theta - lr * m_new;
theta_16 = theta_new != theta_new ? 0x7fc0 : (__float_as_uint(theta_new) + 0x7fff + (__float_as_uint(theta_new) >> 16 & 1)) >> 16;
m = m_new;
