// Test only: stands for torch's header of this name.
#pragma once
#define C10_CUDA_CHECK(call) static_cast<void>(call)
