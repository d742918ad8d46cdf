// The benchmarks of fit_bench.cpp.
#pragma once

void register_fit_benchmarks();
