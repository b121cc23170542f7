// float32
// in:  float32 g, float32 beta1, float32 c1, float32 beta2, float32 c2, float32 lr
// out: float32 theta, float32 m, float32 u
const float m_new = beta1 * m + c1 * g;
const float x1 = beta2 * u;
const float x2 = fabs(g);
const float u_new = (x1 > x2 || x1 != x1 ? x1 : x2);
const float m_hat = m_new / c2;
const float theta_new = theta - lr * m_hat / (u_new > (float)0 ? u_new : (float)1.0);
theta = theta_new;
m = m_new;
u = u_new;

// float64
// in:  float64 g, float64 beta1, float64 c1, float64 beta2, float64 c2, float64 lr
// out: float64 theta, float64 m, float64 u
const double m_new = beta1 * m + c1 * g;
const double x1 = beta2 * u;
const double x2 = fabs(g);
const double u_new = (x1 > x2 || x1 != x1 ? x1 : x2);
const double m_hat = m_new / c2;
const double theta_new = theta - lr * m_hat / (u_new > (double)0 ? u_new : (double)1.0);
theta = theta_new;
m = m_new;
u = u_new;

// float16
// in:  float16 g_16, float32 beta1, float32 c1, float32 beta2, float32 c2, float32 lr
// out: float16 theta_16, float32 m, float32 u
const float theta = (float)theta_16;
const float g = (float)g_16;
const float m_new = beta1 * m + c1 * g;
const float x1 = beta2 * u;
const float x2 = fabs(g);
const float u_new = (x1 > x2 || x1 != x1 ? x1 : x2);
const float m_hat = m_new / c2;
const float theta_new = theta - lr * m_hat / (u_new > (float)0 ? u_new : (float)1.0);
theta_16 = float16(theta_new);
m = m_new;
u = u_new;

// bfloat16
// in:  uint16 g_16, float32 beta1, float32 c1, float32 beta2, float32 c2, float32 lr
// out: uint16 theta_16, float32 m, float32 u
const float theta = __uint_as_float((unsigned int)theta_16 << 16);
const float g = __uint_as_float((unsigned int)g_16 << 16);
const float m_new = beta1 * m + c1 * g;
const float x1 = beta2 * u;
const float x2 = fabs(g);
const float u_new = (x1 > x2 || x1 != x1 ? x1 : x2);
const float m_hat = m_new / c2;
const float theta_new = theta - lr * m_hat / (u_new > (float)0 ? u_new : (float)1.0);
theta_16 = theta_new != theta_new ? 0x7fc0 : (__float_as_uint(theta_new) + 0x7fff + (__float_as_uint(theta_new) >> 16 & 1)) >> 16;
m = m_new;
u = u_new;
