// float32
// in:  float32 g, float32 rho, float32 c1, float32 c2, float32 lr, float32 eps
// out: float32 theta, float32 mean, float32 n_
const float d = g - mean;
const float n_new = rho * n_ + c1 * (d * d);
const float mean_new = rho * mean + c2 * g;
const float theta_new = theta - lr * g / (sqrt(n_new) + eps);
theta = theta_new;
mean = mean_new;
n_ = n_new;

// float64
// in:  float64 g, float64 rho, float64 c1, float64 c2, float64 lr, float64 eps
// out: float64 theta, float64 mean, float64 n_
const double d = g - mean;
const double n_new = rho * n_ + c1 * (d * d);
const double mean_new = rho * mean + c2 * g;
const double theta_new = theta - lr * g / (sqrt(n_new) + eps);
theta = theta_new;
mean = mean_new;
n_ = n_new;

// float16
// in:  float16 g_16, float32 rho, float32 c1, float32 c2, float32 lr, float32 eps
// out: float16 theta_16, float32 mean, float32 n_
const float theta = (float)theta_16;
const float g = (float)g_16;
const float d = g - mean;
const float n_new = rho * n_ + c1 * (d * d);
const float mean_new = rho * mean + c2 * g;
const float theta_new = theta - lr * g / (sqrt(n_new) + eps);
theta_16 = float16(theta_new);
mean = mean_new;
n_ = n_new;

// bfloat16
// in:  uint16 g_16, float32 rho, float32 c1, float32 c2, float32 lr, float32 eps
// out: uint16 theta_16, float32 mean, float32 n_
const float theta = __uint_as_float((unsigned int)theta_16 << 16);
const float g = __uint_as_float((unsigned int)g_16 << 16);
const float d = g - mean;
const float n_new = rho * n_ + c1 * (d * d);
const float mean_new = rho * mean + c2 * g;
const float theta_new = theta - lr * g / (sqrt(n_new) + eps);
theta_16 = theta_new != theta_new ? 0x7fc0 : (__float_as_uint(theta_new) + 0x7fff + (__float_as_uint(theta_new) >> 16 & 1)) >> 16;
mean = mean_new;
n_ = n_new;
