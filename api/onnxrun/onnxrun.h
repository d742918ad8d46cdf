// Everything: load a model, run it, train it, write it back.
#pragma once

#include "onnxrun/callbacks.h"
#include "onnxrun/custom_operators.h"
#include "onnxrun/error.h"
#include "onnxrun/fit.h"
#include "onnxrun/gradients.h"
#include "onnxrun/log.h"
#include "onnxrun/model.h"
#include "onnxrun/model_changes.h"
#include "onnxrun/session.h"
#include "onnxrun/trainer.h"
