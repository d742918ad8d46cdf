#include "base/error.h"
#include "c/handles.h"
#include "c/options.h"

using namespace onnxrun::c;  // NOLINT: functions of C have no namespace

namespace {

const onnxrun::Tensor& tensor_of(const onnxrun::RuntimeValue& value, const std::string& name) {
  if (!value.is_tensor()) {
    onnxrun::fail(onnxrun::ErrorKind::Unsupported, "output '{}' is {}, not a tensor", name,
                  onnxrun::describe(value));
  }
  return value.tensor;
}

const onnxrun::RuntimeValue& output_of(const onnxrun_session& s, const std::string& name) {
  for (const auto& [given, value] : s.given) {
    if (given == name) return value;
  }
  return s.session.output(name);
}

}  // namespace

onnxrun_status onnxrun_session_new(const onnxrun_model* model, const onnxrun_options* options,
                                   onnxrun_session** session) {
  return guarded([&] {
    onnxrun::SessionOptions chosen;
    OptionReader reader(options);
    read_options(reader, chosen);
    reader.finish();
    give(std::make_unique<onnxrun_session>(onnxrun_session{
             onnxrun::Session(need(model, "the model").model, std::move(chosen)), {}, {}}),
         session);
  });
}

void onnxrun_session_free(onnxrun_session* session) { delete session; }  // NOLINT: a handle of C

onnxrun_status onnxrun_session_names(const onnxrun_session* session, const char* what,
                                     onnxrun_names** names) {
  return guarded([&] {
    const onnxrun::Session& s = need(session, "the session").session;
    const std::string text = need_text(what, "what is asked for");
    if (text != "inputs" && text != "outputs") {
      onnxrun::fail(onnxrun::ErrorKind::Usage, "there are no '{}', but inputs and outputs", text);
    }
    give_names(text == "inputs" ? s.input_names() : s.output_names(), names);
  });
}

onnxrun_status onnxrun_session_bind_input(onnxrun_session* session, const char* name,
                                          const onnxrun_tensor* tensor) {
  return guarded([&] {
    need(session, "the session")
        .session.bind_input(need_text(name, "the name"), to_tensor(need(tensor, "the tensor")));
  });
}

onnxrun_status onnxrun_session_bind_output(onnxrun_session* session, const char* name,
                                           const onnxrun_tensor* tensor) {
  return guarded([&] {
    const onnxrun::Tensor memory = to_tensor(need(tensor, "the tensor"));
    if (memory.dtype() == onnxrun::DType::String) {
      onnxrun::fail(onnxrun::ErrorKind::Usage, "memory for strings cannot be bound");
    }
    need(session, "the session").session.bind_output(need_text(name, "the name"), memory);
  });
}

onnxrun_status onnxrun_session_run(onnxrun_session* session) {
  return guarded([&] {
    need(session, "the session").given.clear();
    session->session.run();
  });
}

onnxrun_status onnxrun_session_run_with(onnxrun_session* session, const onnxrun_array* inputs,
                                        size_t count) {
  return guarded(
      [&] { need(session, "the session").given = session->session.run(to_values(inputs, count)); });
}

onnxrun_status onnxrun_session_output(onnxrun_session* session, const char* name,
                                      onnxrun_tensor* tensor) {
  return guarded([&] {
    const std::string text = need_text(name, "the name");
    need(session, "the session");
    need(tensor, "the result") =
        to_view(tensor_of(output_of(*session, text), text), session->texts[text]);
  });
}

void onnxrun_session_cancel(onnxrun_session* session) {
  if (session) session->session.cancel();
}
