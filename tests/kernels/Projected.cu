// float32
// in:  float32 g, float32 beta1, float32 c1, float32 beta2, float32 c2, float32 c3, float32 c4, float32 lr, float32 eps, float32 low, float32 high
// out: float32 theta, float32 m, float32 v
const float m_new = beta1 * m + c1 * g;
const float v_new = beta2 * v + c2 * (g * g);
const float m_hat = m_new / c3;
const float v_hat = v_new / c4;
const float theta_ = theta - lr * m_hat / (sqrt(v_hat) + eps);
const float x1 = (theta_ > low || theta_ != theta_ ? theta_ : low);
const float theta_new = (x1 < high || x1 != x1 ? x1 : high);
theta = theta_new;
m = m_new;
v = v_new;

// float64
// in:  float64 g, float64 beta1, float64 c1, float64 beta2, float64 c2, float64 c3, float64 c4, float64 lr, float64 eps, float64 low, float64 high
// out: float64 theta, float64 m, float64 v
const double m_new = beta1 * m + c1 * g;
const double v_new = beta2 * v + c2 * (g * g);
const double m_hat = m_new / c3;
const double v_hat = v_new / c4;
const double theta_ = theta - lr * m_hat / (sqrt(v_hat) + eps);
const double x1 = (theta_ > low || theta_ != theta_ ? theta_ : low);
const double theta_new = (x1 < high || x1 != x1 ? x1 : high);
theta = theta_new;
m = m_new;
v = v_new;

// float16
// in:  float16 g_16, float32 beta1, float32 c1, float32 beta2, float32 c2, float32 c3, float32 c4, float32 lr, float32 eps, float32 low, float32 high
// out: float16 theta_16, float32 m, float32 v
const float theta = (float)theta_16;
const float g = (float)g_16;
const float m_new = beta1 * m + c1 * g;
const float v_new = beta2 * v + c2 * (g * g);
const float m_hat = m_new / c3;
const float v_hat = v_new / c4;
const float theta_ = theta - lr * m_hat / (sqrt(v_hat) + eps);
const float x1 = (theta_ > low || theta_ != theta_ ? theta_ : low);
const float theta_new = (x1 < high || x1 != x1 ? x1 : high);
theta_16 = float16(theta_new);
m = m_new;
v = v_new;

// bfloat16
// in:  uint16 g_16, float32 beta1, float32 c1, float32 beta2, float32 c2, float32 c3, float32 c4, float32 lr, float32 eps, float32 low, float32 high
// out: uint16 theta_16, float32 m, float32 v
const float theta = __uint_as_float((unsigned int)theta_16 << 16);
const float g = __uint_as_float((unsigned int)g_16 << 16);
const float m_new = beta1 * m + c1 * g;
const float v_new = beta2 * v + c2 * (g * g);
const float m_hat = m_new / c3;
const float v_hat = v_new / c4;
const float theta_ = theta - lr * m_hat / (sqrt(v_hat) + eps);
const float x1 = (theta_ > low || theta_ != theta_ ? theta_ : low);
const float theta_new = (x1 < high || x1 != x1 ? x1 : high);
theta_16 = theta_new != theta_new ? 0x7fc0 : (__float_as_uint(theta_new) + 0x7fff + (__float_as_uint(theta_new) >> 16 & 1)) >> 16;
m = m_new;
v = v_new;
