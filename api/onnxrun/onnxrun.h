// Everything: load a model, run it, train it, write it back.
#pragma once

#include "base/error.h"
#include "onnxrun/model.h"
#include "onnxrun/session.h"
#include "onnxrun/trainer.h"
