// float32
// in:  float32 g, float32 rho, float32 c1, float32 eps, float32 lr
// out: float32 theta, float32 v, float32 x1
const float v_new = rho * v + c1 * (g * g);
const float d = sqrt(x1 + eps) / sqrt(v_new + eps) * g;
const float x_new = rho * x1 + c1 * (d * d);
const float theta_new = theta - lr * d;
theta = theta_new;
v = v_new;
x1 = x_new;

// float64
// in:  float64 g, float64 rho, float64 c1, float64 eps, float64 lr
// out: float64 theta, float64 v, float64 x1
const double v_new = rho * v + c1 * (g * g);
const double d = sqrt(x1 + eps) / sqrt(v_new + eps) * g;
const double x_new = rho * x1 + c1 * (d * d);
const double theta_new = theta - lr * d;
theta = theta_new;
v = v_new;
x1 = x_new;

// float16
// in:  float16 g_16, float32 rho, float32 c1, float32 eps, float32 lr
// out: float16 theta_16, float32 v, float32 x1
const float theta = (float)theta_16;
const float g = (float)g_16;
const float v_new = rho * v + c1 * (g * g);
const float d = sqrt(x1 + eps) / sqrt(v_new + eps) * g;
const float x_new = rho * x1 + c1 * (d * d);
const float theta_new = theta - lr * d;
theta_16 = float16(theta_new);
v = v_new;
x1 = x_new;

// bfloat16
// in:  uint16 g_16, float32 rho, float32 c1, float32 eps, float32 lr
// out: uint16 theta_16, float32 v, float32 x1
const float theta = __uint_as_float((unsigned int)theta_16 << 16);
const float g = __uint_as_float((unsigned int)g_16 << 16);
const float v_new = rho * v + c1 * (g * g);
const float d = sqrt(x1 + eps) / sqrt(v_new + eps) * g;
const float x_new = rho * x1 + c1 * (d * d);
const float theta_new = theta - lr * d;
theta_16 = theta_new != theta_new ? 0x7fc0 : (__float_as_uint(theta_new) + 0x7fff + (__float_as_uint(theta_new) >> 16 & 1)) >> 16;
v = v_new;
x1 = x_new;
