// Constants of the vector functions. Polynomials are minimax fits (Remez exchange) to the functions
// named below, lowest power first.
#pragma once

namespace onnxrun {

// ln2_hi has so few bits that its product with any exponent is exact.
// exp_q: (e^r - 1 - r) / r^2 on |r| <= ln(2) / 2.
// log_r: (log((1 + s) / (1 - s)) / s - 2) / s^2 as a polynomial in s^2, s <= (sqrt(2) - 1)^2.
// erf_small: erf(x) / x in x^2, |x| <= 1.
// erfcx: (1 + 1.5a) e^(a^2 / 2) erfc(a / sqrt(2)) in (a - erfcx_center) / (a + erfcx_center).
// gelu_a + gelu_a_lo = 2 sqrt(2 / pi), gelu_b + gelu_b_lo = 0.044715 times that.
// sin_r: (sin(r) / r - 1) / r^2 and cos_r: (cos(r) - 1 + r^2 / 2) / r^4 in r^2, |r| <= pi / 4; the
// short ones are good to float precision only.
// half_pi: pi / 2 in four parts, the first three of 33 bits.
template <typename T>
struct MathTable;

template <>
struct MathTable<float> {
  static constexpr int fraction_bits = 23, bias = 127;
  // exp of anything beyond is 0 or infinity.
  static constexpr float exp_min = -105, exp_max = 90;
  static constexpr float smallest_normal = 0x1p-126f, sqrt_half = 0x1.6a09e6p-1f,
                         sqrt_two = 0x1.6a09e6p+0f;
  // Beyond these, tanh and erf are 1 and both gelus of a negative number 0.
  static constexpr float tanh_max = 10, erf_max = 4, gelu_max = 15;
  static constexpr float ln2_hi = 0x1.62e4p-1f;
  static constexpr float ln2_lo = 0x1.7f7d1cp-20f;
  static constexpr float log2_e = 0x1.715476p+0f;
  static constexpr float gelu_a = 0x1.988454p+0f;
  static constexpr float gelu_a_lo = -0x1.857936p-25f;
  static constexpr float gelu_b = 0x1.2444f2p-4f;
  static constexpr float gelu_b_lo = 0x1.49b16ap-29f;
  static constexpr float exp_q[] = {0x1p-1f, 0x1.5554b4p-3f, 0x1.55548cp-5f, 0x1.122554p-7f,
                                    0x1.6d9506p-10f};
  static constexpr float log_r[] = {0x1.555556p-1f, 0x1.9999ecp-2f, 0x1.245bf2p-2f, 0x1.ddde5p-3f};
  static constexpr float erf_small[] = {0x1.20dd74p+0f,  -0x1.81273ep-2f, 0x1.ce2d2p-4f,
                                        -0x1.b7fbb4p-6f, 0x1.5419f6p-8f,  -0x1.a485ecp-11f,
                                        0x1.4ae4dp-14f};
  static constexpr float erfcx_center = 4;
  static constexpr float erfcx[] = {0x1.525e24p+0f,   -0x1.ea57d4p-4f,  -0x1.516e32p-4f,
                                    0x1.4292fap-3f,   -0x1.050804p-3f,  0x1.fe7f98p-5f,
                                    -0x1.fc7caep-7f,  -0x1.99beeep-10f, 0x1.27041cp-9f,
                                    -0x1.037ef8p-13f, -0x1.cec53cp-13f};
};

template <>
struct MathTable<double> {
  static constexpr int fraction_bits = 52, bias = 1023;
  static constexpr double exp_min = -747, exp_max = 711;
  static constexpr double smallest_normal = 0x1p-1022, sqrt_half = 0x1.6a09e667f3bcdp-1,
                          sqrt_two = 0x1.6a09e667f3bcdp+0;
  static constexpr double tanh_max = 22, erf_max = 6, gelu_max = 40;
  static constexpr double ln2_hi = 0x1.62e42fefa38p-1;
  static constexpr double ln2_lo = 0x1.ef35793c7673p-45;
  static constexpr double log2_e = 0x1.71547652b82fep+0;
  static constexpr double gelu_a = 0x1.9884533d43651p+0;
  static constexpr double gelu_a_lo = -0x1.cbc0d30ebfd15p-54;
  static constexpr double gelu_b = 0x1.2444f2a4d8b4bp-4;
  static constexpr double gelu_b_lo = -0x1.6c843a29d1c7p-61;
  static constexpr double exp_q[] = {
      0x1.0000000000004p-1,  0x1.555555555555bp-3,  0x1.555555555277ap-5,  0x1.111111110ea16p-7,
      0x1.6c16c17de3049p-10, 0x1.a01a01b4d571ep-13, 0x1.a019a9e2d9e5ep-16, 0x1.71ddec19c643ep-19,
      0x1.289fc37addbf7p-22, 0x1.af739fe01fd15p-26};
  static constexpr double log_r[] = {
      0x1.5555555555558p-1, 0x1.99999999951bep-2, 0x1.2492492e0f0b6p-2, 0x1.c71c62c211302p-3,
      0x1.7462be2de2547p-3, 0x1.39fd33e032f93p-3, 0x1.2b662c6636b49p-3};
  static constexpr double erf_small[] = {
      0x1.20dd750429b6dp+0, -0x1.812746b0379e6p-2,  0x1.ce2f21a042b34p-4,  -0x1.b82ce31284f37p-6,
      0x1.565bcd0dbd8f7p-8, -0x1.c02db3db4914dp-11, 0x1.f9a321e4afa12p-14, -0x1.f4d1e4343e112p-17,
      0x1.b9df30582cd9p-20, -0x1.5f1f40e25a62bp-23, 0x1.f7b99cf5acbc5p-27, -0x1.38ac22534af27p-30,
      0x1.06275c7524c6cp-34};
  static constexpr double erfcx_center = 6;
  static constexpr double erfcx[] = {
      0x1.4bab8af99db6dp+0,   -0x1.0e16c33109632p-3,  0x1.bdbc64203b986p-7,  0x1.19bf38eb586c5p-4,
      -0x1.af183795f0519p-4,  0x1.a5331afa388ccp-4,   -0x1.40a9fdda5ffeap-4, 0x1.8e06623ec5111p-5,
      -0x1.9300ea6db5e99p-6,  0x1.41cba491083f7p-7,   -0x1.6d582c93304e9p-9, 0x1.6ae822d5a3351p-12,
      0x1.18cb90a4774d4p-13,  -0x1.629cf51f9cdbp-14,  0x1.ac350b5cf6dc7p-17, 0x1.974e469a1357fp-18,
      -0x1.a1fa7460d00b3p-19, -0x1.1989dd58847b7p-24, 0x1.c5d35c0dd8853p-22, -0x1.cb903f2b57f53p-25,
      -0x1.ad8072a8934d2p-25, 0x1.084e1a069ef1bp-27,  0x1.3d02e98592a39p-28};
  static constexpr double sin_r[] = {-0x1.555555555554ep-3,  0x1.111111110fe3ap-7,
                                     -0x1.a01a019ca95bcp-13, 0x1.71de35e874ec8p-19,
                                     -0x1.ae5eb3c1fe633p-26, 0x1.5da717f7ed75cp-33};
  static constexpr double cos_r[] = {0x1.5555555555554p-5,  -0x1.6c16c16c16208p-10,
                                     0x1.a01a019e31f0cp-16, -0x1.27e4f90d4cd9cp-22,
                                     0x1.1eea9183b0f51p-29, -0x1.8fff898c750d3p-37};
  static constexpr double sin_r_short[] = {-0x1.5555554e35898p-3, 0x1.1111095cb25cp-7,
                                           -0x1.a0101a0de9365p-13, 0x1.6cf08bd954898p-19};
  static constexpr double cos_r_short[] = {0x1.55554d92a3cdfp-5, -0x1.6c0e04dd5a5f3p-10,
                                           0x1.9a5fe4ce0eb5p-16};
  static constexpr double half_pi[] = {0x1.921fb544p+0, 0x1.0b4611a6p-34, 0x1.3198a2ep-69,
                                       0x1.b839a252049c1p-104};
  static constexpr double two_over_pi = 0x1.45f306dc9c883p-1;
};

}  // namespace onnxrun
