/* Everything of onnxrun.h, from a program in C99: c_program MODEL SCRATCH_DIR. Exits 1 with a line
   for what is wrong. MODEL is examples/models/xor.onnx: x [batch,2], one output, six weights. */
#include <math.h>
#include <onnxrun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;

static void expect(int holds, const char* what, int line) {
  if (holds) return;
  fprintf(stderr, "line %d: %s (last error: %s)\n", line, what, onnxrun_error());
  ++failures;
}
#define EXPECT(condition) expect(condition, #condition, __LINE__)
#define OK(call) EXPECT((call) == ONNXRUN_OK)

static float xs[] = {0, 0, 0, 1, 1, 0, 1, 1};
static float ts[] = {0, 1, 1, 0};
static const int64_t x_dims[] = {4, 2}, t_dims[] = {4, 1};

static onnxrun_tensor floats(float* data, const int64_t* dims, int32_t rank) {
  onnxrun_tensor t;
  t.data = data;
  t.dims = dims;
  t.rank = rank;
  t.type = ONNXRUN_FLOAT32;
  return t;
}

static onnxrun_options* options(const char* const* pairs) {
  onnxrun_options* o = onnxrun_options_new();
  for (; *pairs; pairs += 2) OK(onnxrun_options_set(o, pairs[0], pairs[1]));
  return o;
}

static void errors(const char* path) {
  static const char* const unknown[] = {"thread", "2", NULL};
  static const char* const bad[] = {"threads", "two", NULL};
  onnxrun_model* model = NULL;
  onnxrun_session* session = NULL;
  onnxrun_options* o = options(unknown);
  EXPECT(onnxrun_model_load("/nowhere.onnx", &model) == ONNXRUN_BAD_MODEL);
  EXPECT(strcmp(onnxrun_error_file(), "/nowhere.onnx") == 0);
  EXPECT(model == NULL);
  EXPECT(onnxrun_model_load(NULL, &model) == ONNXRUN_USAGE);
  EXPECT(onnxrun_model_load_bytes("no model", 8, &model) == ONNXRUN_BAD_MODEL);
  EXPECT(onnxrun_model_load(path, NULL) == ONNXRUN_USAGE);
  EXPECT(onnxrun_session_new(NULL, NULL, &session) == ONNXRUN_USAGE);
  OK(onnxrun_model_load(path, &model));
  EXPECT(onnxrun_session_new(model, o, &session) == ONNXRUN_USAGE);
  EXPECT(strstr(onnxrun_error(), "there is no option 'thread'") != NULL);
  onnxrun_options_free(o);
  o = options(bad);
  EXPECT(onnxrun_session_new(model, o, &session) == ONNXRUN_USAGE);
  EXPECT(session == NULL);
  onnxrun_options_free(o);
  onnxrun_model_free(model);
  onnxrun_model_free(NULL);
}

static void run(const onnxrun_model* model) {
  static const char* const one[] = {"threads", "1", NULL};
  onnxrun_options* o = options(one);
  onnxrun_session* session = NULL;
  onnxrun_array x;
  onnxrun_tensor y;
  float mine[4] = {0};
  int i;
  x.name = onnxrun_model_input_name(model, 0);
  x.tensor = floats(xs, x_dims, 2);
  EXPECT(strcmp(onnxrun_model_input_type(model, 0), "float[batch,2]") == 0);
  EXPECT(onnxrun_model_input_name(model, 1) == NULL);
  OK(onnxrun_session_new(model, o, &session));
  onnxrun_options_free(o);
  OK(onnxrun_session_run_with(session, &x, 1));
  OK(onnxrun_session_output(session, onnxrun_model_output_name(model, 0), &y));
  EXPECT(y.rank == 2 && y.dims[0] == 4 && y.dims[1] == 1 && y.type == ONNXRUN_FLOAT32);
  OK(onnxrun_session_bind_input(session, x.name, &x.tensor));
  {
    onnxrun_tensor memory = floats(mine, t_dims, 2);
    OK(onnxrun_session_bind_output(session, onnxrun_model_output_name(model, 0), &memory));
  }
  for (i = 0; i < 4; ++i) EXPECT(((const float*)y.data)[i] > 0 && ((const float*)y.data)[i] < 1);
  {
    float first[4];
    memcpy(first, y.data, sizeof first);
    OK(onnxrun_session_run(session));
    EXPECT(memcmp(first, mine, sizeof mine) == 0);
  }
  x.tensor.rank = 1;
  EXPECT(onnxrun_session_run_with(session, &x, 1) == ONNXRUN_BAD_INPUT);
  x.tensor.rank = 2;
  x.tensor.data = (char*)xs + 1;
  EXPECT(onnxrun_session_run_with(session, &x, 1) == ONNXRUN_BAD_INPUT);
  x.tensor.data = xs;
  x.tensor.type = 99;
  EXPECT(onnxrun_session_run_with(session, &x, 1) == ONNXRUN_BAD_INPUT);
  x.name = "z";
  x.tensor.type = ONNXRUN_FLOAT32;
  EXPECT(onnxrun_session_run_with(session, &x, 1) == ONNXRUN_BAD_INPUT);
  EXPECT(onnxrun_session_output(session, "nothing", &y) != ONNXRUN_OK);
  onnxrun_session_cancel(session);
  EXPECT(onnxrun_session_run(session) == ONNXRUN_CANCELLED);
  onnxrun_session_free(session);
}

/* Steps of bound values, their halves with an update by hand, and going back. */
static void steps(const onnxrun_model* model, const char* folder) {
  static const char* const adam[] = {"loss", "bce", "optimizer", "sgd", "lr", "0.5", NULL};
  onnxrun_options* o = options(adam);
  onnxrun_trainer *trainer = NULL, *other = NULL;
  onnxrun_arrays* state = NULL;
  onnxrun_array arrays[64];
  onnxrun_tensor x = floats(xs, x_dims, 2), t = floats(ts, t_dims, 2), flat, gradients;
  double first, again, loss = 0;
  char path[512];
  size_t i, count;
  OK(onnxrun_trainer_new(model, o, &trainer));
  OK(onnxrun_trainer_new(model, o, &other));
  onnxrun_options_free(o);
  EXPECT(onnxrun_trainer_parts(trainer) == 6);
  for (i = 0; i < 2; ++i) {
    onnxrun_trainer* each = i ? other : trainer;
    OK(onnxrun_trainer_bind(each, onnxrun_model_input_name(model, 0), &x));
    OK(onnxrun_trainer_bind(each, "target", &t));
  }
  OK(onnxrun_trainer_state(trainer, &state));
  OK(onnxrun_trainer_step_bound(trainer, &first));
  for (i = 0; i < 100; ++i) OK(onnxrun_trainer_step_bound(trainer, &loss));
  EXPECT(loss < first);
  count = onnxrun_arrays_count(state);
  EXPECT(count >= 6 && count <= 64);
  for (i = 0; i < count; ++i) OK(onnxrun_arrays_get(state, i, &arrays[i]));
  EXPECT(onnxrun_arrays_get(state, count, &arrays[0]) == ONNXRUN_USAGE);
  OK(onnxrun_trainer_set_state(trainer, arrays, count));
  OK(onnxrun_trainer_step_bound(trainer, &again));
  EXPECT(first == again);

  /* p -= lr g, as the other trainer's own step. */
  OK(onnxrun_trainer_gradients(other, &again));
  EXPECT(first == again);
  OK(onnxrun_trainer_buffer(other, "parameters", &flat));
  OK(onnxrun_trainer_buffer(other, "gradients", &gradients));
  for (i = 0; i < (size_t)flat.dims[0]; ++i) {
    ((float*)flat.data)[i] -= 0.5f * ((const float*)gradients.data)[i];
  }
  {
    onnxrun_array values[2];
    double a = 0, b = 0;
    values[0].name = onnxrun_model_input_name(model, 0);
    values[0].tensor = x;
    values[1].name = "target";
    values[1].tensor = t;
    OK(onnxrun_trainer_evaluate(trainer, values, 2, &a));
    OK(onnxrun_trainer_evaluate(other, values, 2, &b));
    EXPECT(fabs(a - b) < 1e-6 && a > 0);
    OK(onnxrun_trainer_step(trainer, values, 2, NULL));
  }
  EXPECT(onnxrun_trainer_buffer(other, "momentum", &flat) == ONNXRUN_USAGE);
  {
    const char* name = NULL;
    const int64_t* dims = NULL;
    int64_t offset = -1;
    int32_t rank = 0;
    OK(onnxrun_trainer_part(other, 5, &name, &offset, &dims, &rank));
    EXPECT(name && offset > 0 && rank >= 1 && dims[0] >= 1);
    EXPECT(onnxrun_trainer_part(other, 6, &name, NULL, NULL, NULL) == ONNXRUN_USAGE);
  }
  OK(onnxrun_trainer_set_learning_rate(other, 0.25));
  EXPECT(onnxrun_trainer_learning_rate(other) == 0.25);
  snprintf(path, sizeof path, "%s/stepped.onnx", folder);
  OK(onnxrun_trainer_save(trainer, path, 0));
  snprintf(path, sizeof path, "%s/no/such/folder/m.onnx", folder);
  EXPECT(onnxrun_trainer_save(trainer, path, 0) == ONNXRUN_CANNOT_WRITE);
  onnxrun_arrays_free(state);
  onnxrun_trainer_free(trainer);
  onnxrun_trainer_free(other);
}

static int32_t count_epoch(void* user, onnxrun_fit* fit, const onnxrun_record* record) {
  ++*(int*)user;
  EXPECT(record->epoch == *(int*)user && record->loss > 0);
  EXPECT(onnxrun_fit_trainer(fit) != NULL);
  return record->epoch == 7; /* the eighth is not begun */
}

static int32_t refuse(void* user, onnxrun_fit* fit, const onnxrun_record* record) {
  (void)user, (void)fit, (void)record;
  return 2;
}

static void fit(const onnxrun_model* model, const char* folder) {
  char checkpoints[512], log[512];
  const char* pairs[] = {"loss",
                         "bce",
                         "optimizer",
                         "adam",
                         "lr",
                         "0.1",
                         "epochs",
                         "200",
                         "metrics",
                         "accuracy",
                         "batch_size",
                         "4",
                         "checkpoint_dir",
                         NULL,
                         "log",
                         NULL,
                         "target",
                         "t",
                         NULL};
  onnxrun_array data[2];
  onnxrun_fit* training = NULL;
  onnxrun_options* o;
  onnxrun_callbacks callbacks;
  onnxrun_record record;
  double value = -1;
  int epochs = 0;
  int32_t found = -1;
  snprintf(checkpoints, sizeof checkpoints, "%s/checkpoints", folder);
  snprintf(log, sizeof log, "%s/log.csv", folder);
  pairs[13] = checkpoints;
  pairs[15] = log;
  o = options(pairs);
  data[0].name = onnxrun_model_input_name(model, 0);
  data[0].tensor = floats(xs, x_dims, 2);
  data[1].name = "t";
  data[1].tensor = floats(ts, t_dims, 2);
  OK(onnxrun_fit_new(model, o, data, 2, data, 2, &training));
  memset(&callbacks, 0, sizeof callbacks);
  callbacks.size = sizeof callbacks;
  callbacks.user = &epochs;
  callbacks.epoch_end = count_epoch;
  OK(onnxrun_fit_set_callbacks(training, &callbacks));
  OK(onnxrun_fit_run(training));
  EXPECT(epochs == 7 && onnxrun_fit_epochs(training) == 7);
  OK(onnxrun_fit_epoch(training, 6, &record));
  EXPECT(record.epoch == 7 && record.step == 7);
  OK(onnxrun_fit_metric(training, 6, "val_accuracy", &value));
  EXPECT(value >= 0 && value <= 1);
  EXPECT(onnxrun_fit_metric(training, 6, "f1", &value) == ONNXRUN_USAGE);
  EXPECT(onnxrun_fit_epoch(training, 7, &record) == ONNXRUN_USAGE);
  onnxrun_trainer_free(onnxrun_fit_trainer(training)); /* the fit's own: nothing happens */
  onnxrun_fit_free(training);

  OK(onnxrun_fit_new(model, o, data, 2, data, 2, &training));
  OK(onnxrun_fit_resume(training, checkpoints, &found));
  EXPECT(found == 1 && onnxrun_fit_epochs(training) == 7);
  OK(onnxrun_fit_run(training)); /* it was stopped, and stays so */
  EXPECT(onnxrun_fit_epochs(training) == 7);
  onnxrun_fit_free(training);

  OK(onnxrun_fit_new(model, o, data, 2, NULL, 0, &training));
  callbacks.epoch_end = refuse;
  OK(onnxrun_fit_set_callbacks(training, &callbacks));
  EXPECT(onnxrun_fit_run(training) == ONNXRUN_CANCELLED);
  onnxrun_fit_free(training);
  onnxrun_options_free(o);
}

static void from_memory(const char* path, const char* folder) {
  onnxrun_model *model = NULL, *gradients = NULL;
  const char *of, *wrt, *name = NULL;
  onnxrun_tensor value;
  int32_t trains = 0;
  char written[512];
  void* bytes;
  long size;
  FILE* file;
  OK(onnxrun_model_load(path, &model));
  EXPECT(onnxrun_model_initializers(model) == 6);
  OK(onnxrun_model_initializer(model, 0, &name, &value, &trains));
  EXPECT(name && value.rank >= 1 && trains == 1);
  of = onnxrun_model_output_name(model, 0);
  wrt = onnxrun_model_input_name(model, 0);
  OK(onnxrun_model_gradients(model, &of, 1, &wrt, 1, &gradients));
  EXPECT(onnxrun_model_outputs(gradients) == 1);
  onnxrun_model_free(gradients);
  /* The model keeps its weights beside it, so the bytes alone do not do. */
  file = fopen(path, "rb");
  fseek(file, 0, SEEK_END);
  size = ftell(file);
  rewind(file);
  bytes = malloc((size_t)size);
  EXPECT(fread(bytes, 1, (size_t)size, file) == (size_t)size);
  fclose(file);
  EXPECT(onnxrun_model_load_bytes(bytes, (size_t)size, &gradients) == ONNXRUN_BAD_MODEL);
  free(bytes);
  snprintf(written, sizeof written, "%s/again.onnx", folder);
  OK(onnxrun_model_save(model, written, NULL, 0, 0));
  onnxrun_model_free(model);
  OK(onnxrun_model_load(written, &model));
  onnxrun_model_free(model);
}

static void hear(int32_t level, const char* message, void* user) {
  int* heard = user;
  EXPECT(level >= 0 && level <= 3 && !strchr(message, '\n'));
  if (level == 0 && strncmp(message, "loaded ", 7) == 0) ++*heard;
}

static void logging(const char* path) {
  int heard = 0, level;
  for (level = 0; level < 4; ++level) {
    onnxrun_model* model = NULL;
    OK(onnxrun_set_log(hear, &heard, level));
    OK(onnxrun_model_load(path, &model));
    onnxrun_model_free(model);
    EXPECT(heard == 1); /* at level 0 alone */
  }
  EXPECT(onnxrun_set_log(hear, &heard, 4) == ONNXRUN_USAGE);
  OK(onnxrun_set_log(NULL, NULL, 1));
}

static double number(const onnxrun_arrays* arrays, const char* name) {
  size_t i;
  for (i = 0; i < onnxrun_arrays_count(arrays); ++i) {
    onnxrun_array array;
    OK(onnxrun_arrays_get(arrays, i, &array));
    if (strcmp(array.name, name) == 0 && array.tensor.type == ONNXRUN_FLOAT64) {
      return *(const double*)array.tensor.data;
    }
  }
  EXPECT(!"the number is there");
  return -1;
}

static void xor_data(const onnxrun_model* model, onnxrun_array* data) {
  data[0].name = onnxrun_model_input_name(model, 0);
  data[0].tensor = floats(xs, x_dims, 2);
  data[1].name = "target";
  data[1].tensor = floats(ts, t_dims, 2);
}

static void evaluations(const onnxrun_model* model) {
  static const char* const pairs[] = {"loss",     "0.5*bce",   "loss", "mse", "metrics",
                                      "accuracy", "confusion", "1",    NULL};
  onnxrun_array data[2], array;
  onnxrun_evaluator* evaluator = NULL;
  onnxrun_arrays* result = NULL;
  onnxrun_names* names = NULL;
  onnxrun_options* o = options(pairs);
  double both;
  int64_t table = 0;
  size_t i;
  xor_data(model, data);
  EXPECT(onnxrun_evaluator_new(model, o, data, 1, &evaluator) == ONNXRUN_BAD_INPUT);
  OK(onnxrun_evaluator_new(model, o, data, 2, &evaluator));
  OK(onnxrun_evaluator_texts(evaluator, "metrics", &names));
  EXPECT(onnxrun_names_count(names) >= 1 && onnxrun_names_get(names, 99) == NULL);
  onnxrun_names_free(names);
  EXPECT(onnxrun_evaluator_texts(evaluator, "moods", &names) == ONNXRUN_USAGE);
  OK(onnxrun_evaluator_run(evaluator, &result));
  both = number(result, "loss");
  OK(onnxrun_arrays_get(result, onnxrun_arrays_count(result) - 1, &array));
  EXPECT(strcmp(array.name, "confusion") == 0 && array.tensor.rank == 2);
  for (i = 0; i < 4; ++i) table += ((const int64_t*)array.tensor.data)[i];
  EXPECT(table == 4);
  onnxrun_arrays_free(result);
  onnxrun_evaluator_cancel(evaluator);
  EXPECT(onnxrun_evaluator_run(evaluator, &result) == ONNXRUN_CANCELLED);
  onnxrun_evaluator_free(evaluator);
  onnxrun_options_free(o);

  {
    static const char* const bce[] = {"loss", "bce", NULL};
    static const char* const mse[] = {"loss", "mse", NULL};
    double sum = 0;
    for (i = 0; i < 2; ++i) {
      o = options(i ? mse : bce);
      OK(onnxrun_evaluator_new(model, o, data, 2, &evaluator));
      OK(onnxrun_evaluator_run(evaluator, &result));
      sum += (i ? 1 : 0.5) * number(result, "loss");
      onnxrun_arrays_free(result);
      onnxrun_evaluator_free(evaluator);
      onnxrun_options_free(o);
    }
    EXPECT(fabs(both - sum) < 1e-6);
  }
}

static void trainers(const onnxrun_model* model, const char* folder) {
  static const char* const pairs[] = {"loss",        "bce",   "lr",      "0.5",      "ema", "0.9",
                                      "lr_multiple", "*=0.5", "initial", "*weight=xavier", NULL};
  onnxrun_array data[2];
  onnxrun_trainer* trainer = NULL;
  onnxrun_names* names = NULL;
  onnxrun_arrays* weights = NULL;
  onnxrun_array weight;
  onnxrun_tensor output;
  onnxrun_options* o = options(pairs);
  double loss = 0, other = 0;
  char path[512];
  xor_data(model, data);
  OK(onnxrun_trainer_new(model, o, &trainer));
  OK(onnxrun_trainer_names(trainer, "trained", &names));
  EXPECT(onnxrun_names_count(names) == 6);
  onnxrun_names_free(names);
  OK(onnxrun_trainer_names(trainer, "targets", &names));
  EXPECT(onnxrun_names_count(names) == 1 && strcmp(onnxrun_names_get(names, 0), "target") == 0);
  onnxrun_names_free(names);
  EXPECT(onnxrun_trainer_names(trainer, "friends", &names) == ONNXRUN_USAGE);
  EXPECT(onnxrun_trainer_output(trainer, 0, &output) == ONNXRUN_USAGE);
  OK(onnxrun_trainer_step(trainer, data, 2, &loss));
  OK(onnxrun_trainer_output(trainer, 0, &output));
  EXPECT(output.rank == 2 && output.dims[0] == 4 && output.type == ONNXRUN_FLOAT32);
  OK(onnxrun_trainer_losses(trainer, &other, 1));
  EXPECT(loss == other);
  EXPECT(onnxrun_trainer_losses(trainer, &other, 2) == ONNXRUN_USAGE);
  OK(onnxrun_trainer_bind_evaluation(trainer, data[0].name, &data[0].tensor));
  OK(onnxrun_trainer_bind_evaluation(trainer, "target", &data[1].tensor));
  OK(onnxrun_trainer_evaluate_bound(trainer, &loss));
  OK(onnxrun_trainer_evaluate(trainer, data, 2, &other));
  EXPECT(loss == other);
  OK(onnxrun_trainer_weights(trainer, &weights));
  EXPECT(onnxrun_arrays_count(weights) == 6);
  OK(onnxrun_arrays_get(weights, 0, &weight));
  OK(onnxrun_trainer_set_weights(trainer, &weight, 1));
  weight.name = "nobody";
  EXPECT(onnxrun_trainer_set_weights(trainer, &weight, 1) == ONNXRUN_BAD_INPUT);
  onnxrun_arrays_free(weights);
  snprintf(path, sizeof path, "%s/step.onnx", folder);
  OK(onnxrun_trainer_export_step(trainer, path));
  onnxrun_trainer_free(trainer);
  onnxrun_options_free(o);
}

static int32_t begun(void* user, onnxrun_fit* training) {
  *(int*)user += onnxrun_fit_has(training, "test") ? 1 : 100;
  return 0;
}

static int32_t ended(void* user, onnxrun_fit* training) {
  int64_t steps = 0;
  OK(onnxrun_fit_progress(training, &steps, NULL, NULL, NULL));
  *(int*)user += steps == 8 ? 10 : 1000;
  return 0;
}

static void parts(const onnxrun_model* model, const char* folder) {
  static const char* const pairs[] = {"loss",    "bce",      "epochs",      "4",  "batch_size", "2",
                                      "metrics", "accuracy", "standardize", NULL, NULL};
  const char* chosen[11];
  onnxrun_array data[2];
  onnxrun_fit* training = NULL;
  onnxrun_arrays *result = NULL, *numbers = NULL;
  onnxrun_names* names = NULL;
  onnxrun_model* trained = NULL;
  onnxrun_callbacks callbacks;
  onnxrun_options* o;
  char path[512];
  int calls = 0;
  memcpy(chosen, pairs, sizeof pairs);
  chosen[9] = onnxrun_model_input_name(model, 0);
  o = options(chosen);
  xor_data(model, data);
  OK(onnxrun_fit_new_parts(model, o, data, 2, NULL, 0, data, 2, &training));
  EXPECT(onnxrun_fit_has(training, "test") && !onnxrun_fit_has(training, "validation"));
  EXPECT(!onnxrun_fit_has(training, "party") && !onnxrun_fit_has(NULL, "test"));
  memset(&callbacks, 0, sizeof callbacks);
  callbacks.size = sizeof callbacks;
  callbacks.user = &calls;
  callbacks.begin = begun;
  callbacks.end = ended;
  OK(onnxrun_fit_set_callbacks(training, &callbacks));
  OK(onnxrun_fit_run(training));
  EXPECT(calls == 11);
  OK(onnxrun_fit_evaluate(training, "test", &result));
  EXPECT(number(result, "loss") > 0 && number(result, "accuracy") >= 0);
  onnxrun_arrays_free(result);
  EXPECT(onnxrun_fit_evaluate(training, "validation", &result) == ONNXRUN_USAGE);
  OK(onnxrun_fit_texts(training, "loss", &names));
  EXPECT(strcmp(onnxrun_names_get(names, 0), "bce") == 0);
  onnxrun_names_free(names);
  OK(onnxrun_fit_not_finite(training, &names));
  EXPECT(onnxrun_names_count(names) == 0);
  onnxrun_names_free(names);
  OK(onnxrun_fit_standardization(training, &numbers));
  EXPECT(onnxrun_arrays_count(numbers) == 2);
  onnxrun_arrays_free(numbers);
  snprintf(path, sizeof path, "%s/parts.onnx", folder);
  OK(onnxrun_fit_save(training, path, 0));
  onnxrun_fit_free(training);
  onnxrun_options_free(o);
  OK(onnxrun_model_load(path, &trained));
  OK(onnxrun_model_preparation(trained, &numbers));
  EXPECT(onnxrun_arrays_count(numbers) == 3);
  onnxrun_arrays_free(numbers);
  onnxrun_model_free(trained);
}

static void rates(const onnxrun_model* model) {
  static const char* const pairs[] = {"loss", "bce",         "from", "1e-3", "to",
                                      "1",    "sweep_steps", "20",   NULL};
  onnxrun_array data[2], lr;
  onnxrun_arrays* sweep = NULL;
  onnxrun_options* o = options(pairs);
  xor_data(model, data);
  OK(onnxrun_find_learning_rate(model, o, data, 2, &sweep));
  OK(onnxrun_arrays_get(sweep, 0, &lr));
  EXPECT(strcmp(lr.name, "lr") == 0 && lr.tensor.dims[0] >= 10);
  onnxrun_arrays_free(sweep);
  onnxrun_options_free(o);
}

static void changes(const char* path) {
  static const char* const deny[] = {"external_data", "deny", NULL};
  static const char* const wrong[] = {"external_data", "sometimes", NULL};
  static const char* const twice[] = {"cotangents", "1", "double_precision", "1", NULL};
  onnxrun_model *model = NULL, *changed = NULL;
  onnxrun_names* names = NULL;
  onnxrun_options* o = options(deny);
  const char *role = NULL, *reason = NULL, *of, *wrt;
  EXPECT(onnxrun_model_load_with(path, o, &model) == ONNXRUN_BAD_MODEL);
  onnxrun_options_free(o);
  o = options(wrong);
  EXPECT(onnxrun_model_load_with(path, o, &model) == ONNXRUN_USAGE);
  onnxrun_options_free(o);
  OK(onnxrun_model_load_with(path, NULL, &model));
  OK(onnxrun_model_initializer_role(model, 0, &role, &reason));
  EXPECT(role && strcmp(role, "parameter") == 0 && reason && strlen(reason) > 0);
  EXPECT(onnxrun_model_new_classes(model, 0, NULL, 0, &changed, NULL) == ONNXRUN_USAGE);
  OK(onnxrun_model_new_classes(model, 3, NULL, 7, &changed, &names));
  EXPECT(onnxrun_names_count(names) == 2);
  EXPECT(strstr(onnxrun_model_output_type(changed, 0), "3]") != NULL);
  onnxrun_names_free(names);
  onnxrun_model_free(changed);
  EXPECT(onnxrun_model_unshare(model, "perhaps", &changed, NULL) == ONNXRUN_USAGE);
  OK(onnxrun_model_unshare(model, "auto", &changed, &names));
  EXPECT(onnxrun_names_count(names) == 0);
  onnxrun_names_free(names);
  onnxrun_model_free(changed);
  o = options(twice);
  of = onnxrun_model_output_name(model, 0);
  wrt = onnxrun_model_input_name(model, 0);
  OK(onnxrun_model_gradients_with(model, o, &of, 1, &wrt, 1, &changed));
  EXPECT(onnxrun_model_inputs(changed) == 2);
  EXPECT(strncmp(onnxrun_model_output_type(changed, 0), "double", 6) == 0);
  onnxrun_model_free(changed);
  onnxrun_options_free(o);
  {
    onnxrun_session* session = NULL;
    OK(onnxrun_session_new(model, NULL, &session));
    OK(onnxrun_session_names(session, "inputs", &names));
    EXPECT(onnxrun_names_count(names) == 1 && strcmp(onnxrun_names_get(names, 0), wrt) == 0);
    onnxrun_names_free(names);
    EXPECT(onnxrun_session_names(session, "puts", &names) == ONNXRUN_USAGE);
    onnxrun_session_free(session);
  }
  onnxrun_model_free(model);
}

int main(int argc, char** argv) {
  onnxrun_model* model = NULL;
  if (argc != 3) return 2;
  EXPECT(onnxrun_abi_version() == ONNXRUN_ABI_VERSION);
  EXPECT(strlen(onnxrun_version()) >= 5);
  errors(argv[1]);
  logging(argv[1]);
  OK(onnxrun_model_load(argv[1], &model));
  if (!model) return 1;
  run(model);
  steps(model, argv[2]);
  fit(model, argv[2]);
  evaluations(model);
  trainers(model, argv[2]);
  parts(model, argv[2]);
  rates(model);
  onnxrun_model_free(model);
  from_memory(argv[1], argv[2]);
  changes(argv[1]);
  return failures ? 1 : 0;
}
