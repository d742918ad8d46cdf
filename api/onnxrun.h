/* The library for programs in C, and in languages that call C: what the C++ headers under onnxrun/
   do, by handles and plain arrays. In C++ alone: operators of one's own (custom_operators.h),
   sequences, optionals and maps as inputs and outputs, observers of nodes, callbacks with a state.

   - A function that can fail returns a status; ONNXRUN_OK is 0. The last failure of the calling
     thread is kept as a line of text, with file, node, operator and input where it has them. No
     exception leaves the library.
   - Handles are made by ..._new, ..._load or an out-parameter, and freed by ..._free, in any order:
     what a handle needs of another it keeps. Freeing NULL does nothing. A model may be used by many
     threads at once, every other handle by one at a time, ..._cancel excepted.
   - Tensors are views: whoever gives one keeps its memory until the call ends, or, where the
     comment says so, until something else is bound. Nothing is copied then.
   - Names of options are those of `onnxrun train --help` without the dashes, and are listed here.

   A process that holds another protobuf, as one that imported TensorFlow does, loads the library
   with RTLD_DEEPBIND (ctypes.CDLL(path, mode=os.RTLD_DEEPBIND)).

   Functions are added, never changed; onnxrun_abi_version() tells a program what it has been linked
   with. */
#ifndef ONNXRUN_H
#define ONNXRUN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ONNXRUN_ABI_VERSION 2

/* ONNXRUN_ABI_VERSION of the library. */
int32_t onnxrun_abi_version(void);
/* "0.1.0" */
const char* onnxrun_version(void);

/* The numbers are the exit codes of the command. */
/* NOLINTBEGIN(readability-identifier-naming): C's own way */
typedef enum {
  ONNXRUN_OK = 0,
  ONNXRUN_USAGE = 2,
  ONNXRUN_BAD_MODEL = 3,
  ONNXRUN_UNSUPPORTED = 4,
  ONNXRUN_BAD_INPUT = 5,
  ONNXRUN_NUMERIC =
      6, /* a loss, gradient or weight is not finite; weights are those of the last good step */
  ONNXRUN_LIMIT = 7,
  ONNXRUN_CANNOT_WRITE = 8,
  ONNXRUN_INTERNAL = 70,
  ONNXRUN_TIMEOUT = 124,
  ONNXRUN_CANCELLED = 130
} onnxrun_status;
/* NOLINTEND(readability-identifier-naming) */

/* Of the calling thread's last failure; "" if there was none, or it has no such part. Valid until
 * its next failure. */
const char* onnxrun_error(void); /* one line, with the places */
const char* onnxrun_error_file(void);
const char* onnxrun_error_node(void);
const char* onnxrun_error_operator(void);
const char* onnxrun_error_input(void);

/* What the library has to say while it works: warnings, what it chose. One line of text without an
   end of line; 0 is debug, 1 info, 2 warning, 3 error. Called by the thread that the message is
   about, one call at a time; NULL, as at the start, tells nobody. `level` is the lowest to be told.
 */
typedef void (*onnxrun_log_sink)(int32_t level, const char* message, void* user);
onnxrun_status onnxrun_set_log(onnxrun_log_sink sink, void* user, int32_t level);

/* Numbers are those of ONNX's TensorProto.DataType. All its types may be used; these have a C type.
 */
/* NOLINTBEGIN(readability-identifier-naming): C's own way */
typedef enum {
  ONNXRUN_FLOAT32 = 1,
  ONNXRUN_UINT8 = 2,
  ONNXRUN_INT8 = 3,
  ONNXRUN_UINT16 = 4,
  ONNXRUN_INT16 = 5,
  ONNXRUN_INT32 = 6,
  ONNXRUN_INT64 = 7,
  ONNXRUN_STRING = 8, /* data are const char*, each ended by a 0; to be given only, not bound */
  ONNXRUN_BOOL = 9,   /* one byte, 0 or 1 */
  ONNXRUN_FLOAT16 = 10,
  ONNXRUN_FLOAT64 = 11,
  ONNXRUN_UINT32 = 12,
  ONNXRUN_UINT64 = 13,
  ONNXRUN_BFLOAT16 = 16
} onnxrun_type;
/* NOLINTEND(readability-identifier-naming) */

/* A dense, row-major tensor. */
typedef struct {
  void* data;          /* aligned as elements of C are, or ONNXRUN_BAD_INPUT */
  const int64_t* dims; /* rank of them; may be NULL for rank 0 */
  int32_t rank;
  int32_t type; /* onnxrun_type */
} onnxrun_tensor;

typedef struct {
  const char* name;
  onnxrun_tensor tensor;
} onnxrun_array;

/* ---- Options: names and values as text ---- */

typedef struct onnxrun_options onnxrun_options;
onnxrun_options* onnxrun_options_new(void);
/* Adds the option; given again, lists grow and others are replaced. Names and values are checked by
   those who read them, which is ONNXRUN_USAGE then, with the nearest name. */
onnxrun_status onnxrun_options_set(onnxrun_options* options, const char* name, const char* value);
void onnxrun_options_free(onnxrun_options* options);

/* ---- Names and texts that the library made ---- */

typedef struct onnxrun_names onnxrun_names;
size_t onnxrun_names_count(const onnxrun_names* names);
/* As long as the handle lives; NULL for an index too large. */
const char* onnxrun_names_get(const onnxrun_names* names, size_t index);
void onnxrun_names_free(onnxrun_names* names);

/* ---- Arrays with names that the library made ---- */

typedef struct onnxrun_arrays onnxrun_arrays;
size_t onnxrun_arrays_count(const onnxrun_arrays* arrays);
/* Views, as long as the handle lives. */
onnxrun_status onnxrun_arrays_get(const onnxrun_arrays* arrays, size_t index, onnxrun_array* array);
void onnxrun_arrays_free(onnxrun_arrays* arrays);
/* Those of a data file: .npy, .npz, .csv, .idx, .safetensors, pictures ("[NAME=]FILE[:KEY]"). */
onnxrun_status onnxrun_arrays_read(const char* file, onnxrun_arrays** arrays);

/* ---- Models ---- */

typedef struct onnxrun_model onnxrun_model;

/* From a file, with its external data from the same folder; or from memory, which may be freed
 * afterwards. */
onnxrun_status onnxrun_model_load(const char* path, onnxrun_model** model);
onnxrun_status onnxrun_model_load_bytes(const void* bytes, size_t size, onnxrun_model** model);
/* Options: external_data (deny, model_dir or directory: where tensors outside the file may lie) and
   external_directory, max_memory, max_tensor_bytes, max_nesting, timeout (seconds). May be NULL. */
onnxrun_status onnxrun_model_load_with(const char* path, const onnxrun_options* options,
                                       onnxrun_model** model);
onnxrun_status onnxrun_model_load_bytes_with(const void* bytes, size_t size,
                                             const onnxrun_options* options, onnxrun_model** model);
void onnxrun_model_free(onnxrun_model* model);

size_t onnxrun_model_inputs(const onnxrun_model* model);
size_t onnxrun_model_outputs(const onnxrun_model* model);
size_t onnxrun_model_initializers(const onnxrun_model* model);
/* Names and types ("float[batch,3]") live as long as the model; NULL for an index too large. */
const char* onnxrun_model_input_name(const onnxrun_model* model, size_t index);
const char* onnxrun_model_input_type(const onnxrun_model* model, size_t index);
const char* onnxrun_model_output_name(const onnxrun_model* model, size_t index);
const char* onnxrun_model_output_type(const onnxrun_model* model, size_t index);
/* A weight or constant: name, elements (of the model: only to be read), and whether it trains by
   default. Each out- parameter may be NULL. */
onnxrun_status onnxrun_model_initializer(const onnxrun_model* model, size_t index,
                                         const char** name, onnxrun_tensor* value, int32_t* trains);
/* "parameter", "buffer" or "constant", and why; they live as long as the model. */
onnxrun_status onnxrun_model_initializer_role(const onnxrun_model* model, size_t index,
                                              const char** role, const char** reason);
/* Writes the model's file again, with `count` of its weights replaced. in_place: over the file it
 * came from. */
onnxrun_status onnxrun_model_save(const onnxrun_model* model, const char* path,
                                  const onnxrun_array* weights, size_t count, int32_t in_place);
/* The model whose outputs NAME::gradient are the gradients of the sum of the values `of` for the
 * values `wrt`. */
onnxrun_status onnxrun_model_gradients(const onnxrun_model* model, const char* const* of,
                                       size_t of_count, const char* const* wrt, size_t wrt_count,
                                       onnxrun_model** gradients);

/* The same with options: cotangents (1: factors of the elements of `of` are inputs
   NAME::cotangent), double_precision. */
onnxrun_status onnxrun_model_gradients_with(const onnxrun_model* model,
                                            const onnxrun_options* options, const char* const* of,
                                            size_t of_count, const char* const* wrt,
                                            size_t wrt_count, onnxrun_model** gradients);
/* The model with another number of classes of an output (NULL: the first): its last layer starts
   anew by the seed. `tensors`, which may be NULL, are the names of what is fresh. */
onnxrun_status onnxrun_model_new_classes(const onnxrun_model* model, int64_t classes,
                                         const char* output, uint64_t seed, onnxrun_model** changed,
                                         onnxrun_names** tensors);
/* The model with the tensors apart that its exporter merged: `mode` is "auto", "never" or
   "always". `added`, which may be NULL, are the names of what was added. */
onnxrun_status onnxrun_model_unshare(const onnxrun_model* model, const char* mode,
                                     onnxrun_model** changed, onnxrun_names** added);
/* How the data were prepared that the model was trained on: INPUT.scale, INPUT.mean and
   INPUT.deviation (float64), and OUTPUT.classes (strings: what its classes are). Empty if the file
   does not say. */
onnxrun_status onnxrun_model_preparation(const onnxrun_model* model, onnxrun_arrays** preparation);

/* ---- Sessions ---- */

typedef struct onnxrun_session onnxrun_session;

/* Options: threads (1; 0 is what the machine allows), products (own or openblas: what multiplies
   large matrices; ONNXRUN_UNSUPPORTED where OpenBLAS is not there), optimize (0 or 1), outputs
   (repeated: any values of the graph; by default the model's outputs), max_memory,
   max_tensor_bytes, max_loop_iterations, timeout (seconds). May be NULL. */
onnxrun_status onnxrun_session_new(const onnxrun_model* model, const onnxrun_options* options,
                                   onnxrun_session** session);
void onnxrun_session_free(onnxrun_session* session);
/* `what` is "inputs" (those that the outputs need) or "outputs". */
onnxrun_status onnxrun_session_names(const onnxrun_session* session, const char* what,
                                     onnxrun_names** names);

/* Memory that every run reads or writes, until other memory is bound. Outputs after all inputs; one
   that is not bound is the session's. */
onnxrun_status onnxrun_session_bind_input(onnxrun_session* session, const char* name,
                                          const onnxrun_tensor* tensor);
onnxrun_status onnxrun_session_bind_output(onnxrun_session* session, const char* name,
                                           const onnxrun_tensor* tensor);
/* With the bound inputs. */
onnxrun_status onnxrun_session_run(onnxrun_session* session);
/* With these inputs, of the model's types. */
onnxrun_status onnxrun_session_run_with(onnxrun_session* session, const onnxrun_array* inputs,
                                        size_t count);
/* A tensor that the last run of either kind gave, valid until the next; strings as const char*. */
onnxrun_status onnxrun_session_output(onnxrun_session* session, const char* name,
                                      onnxrun_tensor* tensor);
/* From any thread. */
void onnxrun_session_cancel(onnxrun_session* session);

/* ---- Trainings that files describe themselves (training_info) ---- */

typedef struct onnxrun_stored_training onnxrun_stored_training;

/* Options: seed, and those of a session but outputs. May be NULL. ONNXRUN_USAGE for a model that is
   not from a file or describes no training. */
onnxrun_status onnxrun_stored_training_new(const onnxrun_model* model,
                                           const onnxrun_options* options,
                                           onnxrun_stored_training** training);
void onnxrun_stored_training_free(onnxrun_stored_training* training);
/* `what` is "inputs", "outputs" or "state". */
onnxrun_status onnxrun_stored_training_names(const onnxrun_stored_training* training,
                                             const char* what, onnxrun_names** names);
/* Back to step 0, with what the file's initialization gives. */
onnxrun_status onnxrun_stored_training_initialize(onnxrun_stored_training* training);
/* One iteration. `outputs`, which may be NULL, gets those that are tensors, from before the
   update. */
onnxrun_status onnxrun_stored_training_step(onnxrun_stored_training* training,
                                            const onnxrun_array* inputs, size_t count,
                                            onnxrun_arrays** outputs);
int64_t onnxrun_stored_training_steps(const onnxrun_stored_training* training);
/* The initializers that training changes; some or all of them set anew. */
onnxrun_status onnxrun_stored_training_state(const onnxrun_stored_training* training,
                                             onnxrun_arrays** state);
onnxrun_status onnxrun_stored_training_set_state(onnxrun_stored_training* training,
                                                 const onnxrun_array* state, size_t count);
/* The file with the state in it. */
onnxrun_status onnxrun_stored_training_save(const onnxrun_stored_training* training,
                                            const char* path, int in_place);
/* From any thread. */
void onnxrun_stored_training_cancel(onnxrun_stored_training* training);

/* ---- Training, a step at a time ---- */

typedef struct onnxrun_trainer onnxrun_trainer;

/* Options: loss (repeated: "[OUTPUT=][FACTOR*]NAME" or a file.onnx whose graph makes one number of
   outputs and targets; the sum is minimised), output (of a loss that names none), reduction (mean,
   sum), class_axis, allow_broadcast, class_weights (numbers with commas), ignore_index,
   label_smoothing, sample_weights (1: the steps are given them), optimizer, lr, momentum,
   weight_decay, beta1, beta2, eps, alpha, clip_value, clip_norm, lr_multiple (repeated:
   GLOB=FACTOR), initial (repeated: GLOB=HOW, as --init), ema, trainable (repeated: names of
   initializers), unshare (auto, never, always), batch_statistics, unbiased_variance, dropout,
   double_precision, seed, threads, products, optimize, max_memory, max_tensor_bytes,
   max_loop_iterations, timeout (of a step). Truth values are 0 or 1. May be NULL. */
onnxrun_status onnxrun_trainer_new(const onnxrun_model* model, const onnxrun_options* options,
                                   onnxrun_trainer** trainer);
void onnxrun_trainer_free(onnxrun_trainer* trainer);

/* One step: forward, loss, backward, update. `loss`, which may be NULL, is the one before the
   update. `values` are inputs by name and "target"; converted where they have other types. */
onnxrun_status onnxrun_trainer_step(onnxrun_trainer* trainer, const onnxrun_array* values,
                                    size_t count, double* loss);
/* Memory that every step of bound values reads, until other memory is bound; of the model's types.
 */
onnxrun_status onnxrun_trainer_bind(onnxrun_trainer* trainer, const char* name,
                                    const onnxrun_tensor* tensor);
onnxrun_status onnxrun_trainer_step_bound(onnxrun_trainer* trainer, double* loss);
/* The halves of a step of the bound values: what stands in the gradients' buffer in between may be
 * changed. */
onnxrun_status onnxrun_trainer_gradients(onnxrun_trainer* trainer, double* loss);
onnxrun_status onnxrun_trainer_apply(onnxrun_trainer* trainer);
/* `what` is "targets" (what the losses read beside the model), "outputs" (of the model, that they
   read), "trained", "without_gradient" (what no step moves) or "unshared" (what was added). */
onnxrun_status onnxrun_trainer_names(const onnxrun_trainer* trainer, const char* what,
                                     onnxrun_names** names);
/* Output number `index` of "outputs", as the last step, gradients or evaluation computed it; valid
   until the next. */
onnxrun_status onnxrun_trainer_output(const onnxrun_trainer* trainer, size_t index,
                                      onnxrun_tensor* tensor);
/* Each loss of it without its factor; `count` is the number of losses. */
onnxrun_status onnxrun_trainer_losses(const onnxrun_trainer* trainer, double* losses, size_t count);
/* Loss of the current weights in the model's inference meaning. */
onnxrun_status onnxrun_trainer_evaluate(onnxrun_trainer* trainer, const onnxrun_array* values,
                                        size_t count, double* loss);
/* The same of memory that is bound until other memory is. */
onnxrun_status onnxrun_trainer_bind_evaluation(onnxrun_trainer* trainer, const char* name,
                                               const onnxrun_tensor* tensor);
onnxrun_status onnxrun_trainer_evaluate_bound(onnxrun_trainer* trainer, double* loss);
onnxrun_status onnxrun_trainer_set_learning_rate(onnxrun_trainer* trainer, double lr);
double onnxrun_trainer_learning_rate(const onnxrun_trainer* trainer);

/* What trains, as one flat buffer that steps read and write, and which lives as long as the
   trainer: parts are equally named and placed in all of them. `what` is "parameters", "gradients"
   or a slot of the optimizer ("momentum", "m", "v"). */
onnxrun_status onnxrun_trainer_buffer(onnxrun_trainer* trainer, const char* what,
                                      onnxrun_tensor* values);
size_t onnxrun_trainer_parts(onnxrun_trainer* trainer);
/* The part's name, its place in the buffer in elements, and its shape; valid as long as the
 * trainer. */
onnxrun_status onnxrun_trainer_part(onnxrun_trainer* trainer, size_t index, const char** name,
                                    int64_t* offset, const int64_t** dims, int32_t* rank);

/* Copies of all that makes the next step equal, and back. */
onnxrun_status onnxrun_trainer_state(const onnxrun_trainer* trainer, onnxrun_arrays** state);
onnxrun_status onnxrun_trainer_set_state(onnxrun_trainer* trainer, const onnxrun_array* state,
                                         size_t count);
/* Current weights (with ema their averages) and moving statistics, in the model's types; and other
   ones in their place. */
onnxrun_status onnxrun_trainer_weights(const onnxrun_trainer* trainer, onnxrun_arrays** weights);
onnxrun_status onnxrun_trainer_set_weights(onnxrun_trainer* trainer, const onnxrun_array* weights,
                                           size_t count);
/* The step as a model of standard operators, and beside it what it begins with (.init.npz). */
onnxrun_status onnxrun_trainer_export_step(const onnxrun_trainer* trainer, const char* path);
/* The model with the current weights. */
onnxrun_status onnxrun_trainer_save(const onnxrun_trainer* trainer, const char* path,
                                    int32_t in_place);
void onnxrun_trainer_cancel(onnxrun_trainer* trainer);

/* ---- Training from data to a history ---- */

typedef struct onnxrun_fit onnxrun_fit;

/* Options: those of a trainer (a loss that is not named is chosen), and epochs, max_steps, shuffle,
   drop_last, accumulate, schedule, warmup, validation_split, test_split, fold, folds, metrics
   (repeated), augment (repeated: "[INPUT:]shift=N,flip"), bake;
   of data, here and where a model is evaluated: batch_size, target (repeated: "[OUTPUT=]ARRAY" or a
   file), sample_weights (the array), input (repeated: INPUT=ARRAY), batch_axis, scale and reshape
   (repeated: NAME=AXIS, NAME=FACTOR, NAME=1x28x28), standardize (repeated), as_trained, prebatched,
   stream (repeated: INPUT=FILE, read batch by batch), data_memory (bytes that files may take);
   validation_stream and test_stream likewise;
   and what callbacks do: early_stop (a metric), patience, min_delta, restore_best, best and monitor
   (a file, and the metric that says what is best), checkpoint_dir, save_every (epochs) or
   save_every_steps, keep, log, log_every (steps), tensorboard, histograms. Arrays named like inputs
   feed them; the target is called target, y or label unless `target` says otherwise. `validation`
   may be NULL. The arrays are only read, and must live as long as the handle. */
onnxrun_status onnxrun_fit_new(const onnxrun_model* model, const onnxrun_options* options,
                               const onnxrun_array* data, size_t count,
                               const onnxrun_array* validation, size_t validation_count,
                               onnxrun_fit** fit);
/* With data to test with, too. */
onnxrun_status onnxrun_fit_new_parts(const onnxrun_model* model, const onnxrun_options* options,
                                     const onnxrun_array* data, size_t count,
                                     const onnxrun_array* validation, size_t validation_count,
                                     const onnxrun_array* test, size_t test_count,
                                     onnxrun_fit** fit);
void onnxrun_fit_free(onnxrun_fit* fit);
/* `what` is "loss", "output", "notes" (what was done to the data unasked), "warnings", "metrics"
   (without those of validation, which are called val_NAME), "classes" (where targets name them). */
onnxrun_status onnxrun_fit_texts(const onnxrun_fit* fit, const char* what, onnxrun_names** texts);

typedef struct {
  int64_t epoch, step;
  double loss, lr, seconds;
} onnxrun_record;

/* Called in the thread of onnxrun_fit_run(); any of them may be NULL. A result other than 0 ends
   the training: 1 as onnxrun_fit_stop() does, another with ONNXRUN_CANCELLED. `aborted` is called
   in place of `end` where the training fails. `size` is sizeof(onnxrun_callbacks). */
typedef struct {
  size_t size;
  void* user;
  int32_t (*step_end)(void* user, onnxrun_fit* fit, const onnxrun_record* record);
  int32_t (*epoch_end)(void* user, onnxrun_fit* fit, const onnxrun_record* record);
  int32_t (*begin)(void* user, onnxrun_fit* fit);
  int32_t (*end)(void* user, onnxrun_fit* fit);
  void (*aborted)(void* user, onnxrun_fit* fit);
} onnxrun_callbacks;
/* Before onnxrun_fit_run(); copied. */
onnxrun_status onnxrun_fit_set_callbacks(onnxrun_fit* fit, const onnxrun_callbacks* callbacks);

onnxrun_status onnxrun_fit_run(onnxrun_fit* fit);
/* From a callback: the epoch ends as usual, and is the last. */
void onnxrun_fit_stop(onnxrun_fit* fit);
/* From any thread. */
void onnxrun_fit_cancel(onnxrun_fit* fit);
/* Goes on where the newest checkpoint of the folder was; `found`, which may be NULL, is 0 if there
 * is none. */
onnxrun_status onnxrun_fit_resume(onnxrun_fit* fit, const char* checkpoint_dir, int32_t* found);

/* `part` is "training", "validation" or "test"; 0 if there is no such part. */
int32_t onnxrun_fit_has(const onnxrun_fit* fit, const char* part);
/* Of the current weights: "loss", then metrics by name, each a float64 of rank 0. */
onnxrun_status onnxrun_fit_evaluate(onnxrun_fit* fit, const char* part, onnxrun_arrays** result);
/* Steps and seconds that the training took, and those that it waited for streams; loss of the last
   step. Each out-parameter may be NULL. */
onnxrun_status onnxrun_fit_progress(const onnxrun_fit* fit, int64_t* steps, double* last_loss,
                                    double* seconds, double* waited);
/* INPUT.mean and INPUT.deviation of what was standardized. */
onnxrun_status onnxrun_fit_standardization(const onnxrun_fit* fit, onnxrun_arrays** numbers);
/* The first number of the training data that is NaN or infinite, as a text; none if all are finite.
 */
onnxrun_status onnxrun_fit_not_finite(const onnxrun_fit* fit, onnxrun_names** text);
/* The model with the current weights and, in its metadata or with `bake` in its graph, how the data
   were prepared. */
onnxrun_status onnxrun_fit_save(const onnxrun_fit* fit, const char* path, int32_t in_place);

size_t onnxrun_fit_epochs(const onnxrun_fit* fit); /* in the history */
onnxrun_status onnxrun_fit_epoch(const onnxrun_fit* fit, size_t index, onnxrun_record* record);
/* "loss", "val_loss", "accuracy", "val_accuracy", ...; ONNXRUN_USAGE if it was not measured. */
onnxrun_status onnxrun_fit_metric(const onnxrun_fit* fit, size_t index, const char* name,
                                  double* value);
/* The trainer of this training, which lives as long as it does and is not freed. */
onnxrun_trainer* onnxrun_fit_trainer(onnxrun_fit* fit);
onnxrun_status onnxrun_fit_state(const onnxrun_fit* fit, onnxrun_arrays** state);
onnxrun_status onnxrun_fit_set_state(onnxrun_fit* fit, const onnxrun_array* state, size_t count);

/* A copy trains with learning rates that grow. Options: those of a fit, and from, to (1e-7, 10),
   sweep_steps (100), diverged (4). The result: "lr", "loss" and "smoothed" (float64[n]), and
   "suggestion" (rank 0) unless the loss never falls. */
onnxrun_status onnxrun_find_learning_rate(const onnxrun_model* model,
                                          const onnxrun_options* options, const onnxrun_array* data,
                                          size_t count, onnxrun_arrays** sweep);

/* ---- How good a model is on data ---- */

typedef struct onnxrun_evaluator onnxrun_evaluator;

/* Options: loss and what belongs to it as for a trainer, those of data as for a fit, metrics
   (repeated; default: accuracy, where the target holds classes), confusion, double_precision, and
   those of a session but outputs. The arrays are only read, and must live as long as the handle. */
onnxrun_status onnxrun_evaluator_new(const onnxrun_model* model, const onnxrun_options* options,
                                     const onnxrun_array* data, size_t count,
                                     onnxrun_evaluator** evaluator);
void onnxrun_evaluator_free(onnxrun_evaluator* evaluator);
/* As onnxrun_fit_texts(). */
onnxrun_status onnxrun_evaluator_texts(const onnxrun_evaluator* evaluator, const char* what,
                                       onnxrun_names** texts);
/* "loss", metrics by name, and with `confusion` "confusion": int64[classes,classes], how many
   samples of each class (rows) were taken for which. */
onnxrun_status onnxrun_evaluator_run(onnxrun_evaluator* evaluator, onnxrun_arrays** result);
/* From any thread. */
void onnxrun_evaluator_cancel(onnxrun_evaluator* evaluator);

#ifdef __cplusplus
}
#endif

#endif
