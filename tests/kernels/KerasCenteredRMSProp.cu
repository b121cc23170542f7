// float32
// in:  float32 g, float32 rho, float32 c1, float32 lr, float32 eps
// out: float32 theta, float32 v, float32 n_
const float v_new = rho * v + c1 * (g * g);
const float n_new = rho * n_ + c1 * g;
const float x1 = v_new - n_new * n_new;
const float theta_new = theta - lr * g / sqrt((x1 > (float)0.0 || x1 != x1 ? x1 : (float)0.0) + eps);
theta = theta_new;
v = v_new;
n_ = n_new;

// float64
// in:  float64 g, float64 rho, float64 c1, float64 lr, float64 eps
// out: float64 theta, float64 v, float64 n_
const double v_new = rho * v + c1 * (g * g);
const double n_new = rho * n_ + c1 * g;
const double x1 = v_new - n_new * n_new;
const double theta_new = theta - lr * g / sqrt((x1 > (double)0.0 || x1 != x1 ? x1 : (double)0.0) + eps);
theta = theta_new;
v = v_new;
n_ = n_new;

// float16
// in:  float16 g_16, float32 rho, float32 c1, float32 lr, float32 eps
// out: float16 theta_16, float32 v, float32 n_
const float theta = (float)theta_16;
const float g = (float)g_16;
const float v_new = rho * v + c1 * (g * g);
const float n_new = rho * n_ + c1 * g;
const float x1 = v_new - n_new * n_new;
const float theta_new = theta - lr * g / sqrt((x1 > (float)0.0 || x1 != x1 ? x1 : (float)0.0) + eps);
theta_16 = float16(theta_new);
v = v_new;
n_ = n_new;

// bfloat16
// in:  uint16 g_16, float32 rho, float32 c1, float32 lr, float32 eps
// out: uint16 theta_16, float32 v, float32 n_
const float theta = __uint_as_float((unsigned int)theta_16 << 16);
const float g = __uint_as_float((unsigned int)g_16 << 16);
const float v_new = rho * v + c1 * (g * g);
const float n_new = rho * n_ + c1 * g;
const float x1 = v_new - n_new * n_new;
const float theta_new = theta - lr * g / sqrt((x1 > (float)0.0 || x1 != x1 ? x1 : (float)0.0) + eps);
theta_16 = theta_new != theta_new ? 0x7fc0 : (__float_as_uint(theta_new) + 0x7fff + (__float_as_uint(theta_new) >> 16 & 1)) >> 16;
v = v_new;
n_ = n_new;
