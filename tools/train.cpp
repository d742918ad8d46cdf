#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "array_files.h"
#include "base/error.h"
#include "base/name_list.h"
#include "command.h"
#include "data_options.h"
#include "exit_code.h"
#include "export_losses.h"
#include "formats/json.h"
#include "interrupt.h"
#include "messages.h"
#include "model_loading.h"
#include "onnxrun/callbacks.h"
#include "onnxrun/fit.h"
#include "onnxrun/learning_rate.h"
#include "onnxrun/model_changes.h"
#include "train_choice.h"
#include "training_display.h"
#include "training_options.h"

namespace onnxrun::tool {

namespace {

class Train final : public Command {
 public:
  Train() : Command({}) {}

  void declare(Options& options) override { choice_.declare(options); }

  int execute() override {
    choice_.check_usage();
    Model model = take_classes(take_unshared(load_model(choice_.model_path, common_)));
    choice_.check_files(model);
    NamedTensors data = load_data("--data", choice_.data.take_streams(model, common_), common_);
    if (choice_.find_lr) return find_lr(model, data);
    Fit fit = made(model, data);
    if (choice_.resume) resume(fit);
    run(fit);
    std::optional<Evaluation> test;
    if (fit.has(Fit::Part::Test)) {
      test = in_context(choice_.model_path, [&] { return fit.evaluate(Fit::Part::Test); });
    }
    save(fit);
    finish(fit, test);
    return exit_ok;
  }

 private:
  int find_lr(const Model& model, const NamedTensors& data) {
    FitOptions options = fit_options(model);
    RateSweep sweep = in_context(
        choice_.model_path, [&] { return find_learning_rate(model, data, std::move(options)); });
    if (!choice_.plot.empty()) plot_sweep(choice_.plot, sweep);
    const RateSweep::Point &first = sweep.points.front(), &last = sweep.points.back();
    info("{} steps with learning rates from {:.3g} to {:.3g}{}", sweep.points.size(), first.lr,
         last.lr, choice_.plot.empty() ? "" : "; written: " + choice_.plot);
    if (!sweep.suggestion) warn("the loss never falls, so no learning rate is suggested");
    if (common_.json) {
      Json points = Json::array();
      for (const RateSweep::Point& p : sweep.points) {
        points.push_back(Json{{"lr", p.lr}, {"loss", p.loss}, {"smoothed", p.smoothed}});
      }
      Json suggestion = sweep.suggestion ? Json(*sweep.suggestion) : Json(nullptr);
      print(Json{{"schema", "onnxrun.find-lr/1"}, {"suggestion", suggestion}, {"points", points}}
                .text());
    } else if (sweep.suggestion) {
      print(fmt::format("suggested learning rate: {:.3g}\n", *sweep.suggestion));
    }
    return exit_ok;
  }

  void take_augmentations(FitOptions& o) const {
    for (const std::string& text : choice_.augment) {
      size_t colon = text.rfind(':');
      std::string name = colon == std::string::npos ? "" : text.substr(0, colon);
      Augmentation changes;
      for (const std::string& change :
           split_list(colon == std::string::npos ? text : text.substr(colon + 1))) {
        if (change == "flip") {
          changes.flip = true;
        } else if (change.starts_with("shift=")) {
          changes.shift = parse_integer("--augment", change.substr(6));
        } else {
          fail(ErrorKind::Usage, "--augment: '{}' is no change of pictures; shift=N and flip are",
               change);
        }
      }
      if (changes.shift == 0 && !changes.flip) {
        fail(ErrorKind::Usage, "--augment: '{}' changes nothing", text);
      }
      if (!o.augment.emplace(name, changes).second) {
        fail(ErrorKind::Usage, "--augment: an input is named twice");
      }
    }
  }

  // What ends a training early leaves the weights of its last step, which are worth hours: they are
  // written like those of a whole one. A model that diverged is not written over the one it was
  // made from.
  void run(Fit& fit) const {
    CancelScope cancel(fit);
    try {
      in_context(choice_.model_path, [&] { fit.run(); });
    } catch (const Error& e) {
      bool numeric = e.kind() == ErrorKind::Numeric;
      bool ended = numeric || e.kind() == ErrorKind::Cancelled || e.kind() == ErrorKind::Timeout;
      if (!ended) throw;
      if (fit.steps() == 0) {
        warn("no step was finished, so nothing is written");
      } else if (numeric && choice_.in_place) {
        warn("a model that diverges is not written over the one that was read");
      } else {
        save_what_there_is(fit);
      }
      // A number of the data that is not finite says more than the first node that meets it.
      std::string culprit = numeric ? fit.first_not_finite() : "";
      if (culprit.empty()) throw;
      throw Error(ErrorKind::Numeric, fmt::format("{}: {}", culprit, e.what()));
    }
  }

  void save_what_there_is(const Fit& fit) const {
    try {
      UninterruptedScope hold;
      write_model(fit);
    } catch (const Error& e) {
      return warn("the weights of step {} could not be written: {}", fit.steps(), e.what());
    }
    warn("the weights of step {}, the last one finished, are written: {}", fit.steps(),
         choice_.written_path());
  }

  // What does not fit lies in the data, unless the model cannot train.
  Fit made(const Model& model, const NamedTensors& data) {
    FitOptions options = fit_options(model);
    try {
      return Fit(model, data, std::move(options));
    } catch (const Error& e) {
      if (e.kind() == ErrorKind::BadInput) throw;
      throw_in_context(choice_.model_path, e);
    }
  }

  NamedTensors part(std::string_view option, const std::vector<std::string>& specs,
                    const Model& model, std::vector<std::string>& streams) const {
    std::vector<std::string> rest =
        choice_.data.take_streams(option, specs, model, common_, streams);
    return load_data(option, rest, common_);
  }

  FitOptions fit_options(const Model& model) {
    FitOptions o = choice_.fit;
    o.trainer = trainer_options(choice_.optimizer, choice_.modes, common_);
    o.trainer.more_losses = loss_options(model.graph(), choice_.loss, common_);
    o.trainer.loss = o.trainer.more_losses[0];
    o.trainer.more_losses.erase(o.trainer.more_losses.begin());
    o.trainer.trainable = chosen_parameters(model, choice_.parameters);
    take_parameter_options(choice_.parameters, o.trainer);
    o.trainer.double_precision = choice_.modes.precision == "float64";
    o.trainer.unshare = Unshare::Never;  // it has been done
    o.feed = feed_options(choice_.data, common_);
    take_augmentations(o);
    o.validation = part("--val-data", choice_.val_data, model, o.validation_streams);
    o.test = part("--test-data", choice_.test_data, model, o.test_streams);
    std::string monitor = choice_.monitor.empty() ? choice_.early_stop : choice_.monitor;
    if (monitor.empty()) monitor = choice_.validates() ? "val_loss" : "loss";
    auto& c = o.callbacks;
    if (!choice_.log.empty())
      c.push_back(std::make_shared<LogFile>(choice_.log, choice_.log_every));
    if (!choice_.tensorboard.empty())
      c.push_back(std::make_shared<TensorBoard>(choice_.tensorboard));
    if (!choice_.best.empty()) c.push_back(std::make_shared<SaveBest>(choice_.best, monitor));
    if (!choice_.early_stop.empty()) {
      c.push_back(std::make_shared<EarlyStopping>(choice_.early_stop, choice_.patience.value_or(5),
                                                  choice_.min_delta.value_or(0)));
    }
    if (!choice_.plot.empty()) c.push_back(std::make_shared<CurvePlot>(choice_.plot));
    // Behind those whose state it stores.
    if (!choice_.checkpoints.empty()) c.push_back(checkpoints());
    if (is_shown(LogLevel::Info)) c.push_back(std::make_shared<Progress>());
    return o;
  }

  std::shared_ptr<Checkpoints> checkpoints() const {
    bool steps = choice_.save_every.ends_with('s');
    std::string number = choice_.save_every.substr(0, choice_.save_every.size() - (steps ? 1 : 0));
    int64_t every = choice_.save_every.empty() ? 0 : parse_integer("--save-every", number);
    if (every < 1 && !choice_.save_every.empty())
      fail(ErrorKind::Usage, "--save-every: '{}' is too small", choice_.save_every);
    std::optional<int64_t> by_steps;
    if (steps) by_steps = every;
    return std::make_shared<Checkpoints>(choice_.checkpoints, every, choice_.keep.value_or(3),
                                         by_steps);
  }

  void resume(Fit& fit) const {
    if (!Checkpoints::resume(choice_.checkpoints, fit)) {
      return info("{} has no checkpoint: the training begins", choice_.checkpoints);
    }
    info("resumed: {} epochs and {} steps are done", fit.history().size(), fit.steps());
  }

  // As it trains; what is split is said.
  Model take_unshared(const Model& model) {
    Unshare mode = choice_.unshare == "never"    ? Unshare::Never
                   : choice_.unshare == "always" ? Unshare::Always
                                                 : Unshare::Auto;
    UnsharedModel changed = in_context(choice_.model_path, [&] { return unshare(model, mode); });
    std::map<std::string, std::vector<std::string>> copies;
    for (const UnsharedTensor& t : changed.added) copies[t.from].push_back(t.name);
    for (const auto& [from, names] : copies) {
      if (from.empty()) {
        info("added: {} (zeros that the exporter left out)", name_list(names, 8));
      } else {
        info("split from '{}': {} (the exporter stored equal tensors once)", from,
             name_list(names, 8));
      }
    }
    for (const ExportLoss& loss : export_losses(changed.model.graph())) info("note: {}", loss.text);
    unshared_ = std::move(changed.added);
    return changed.model;
  }

  // The model with --new-classes.
  Model take_classes(const Model& model) {
    if (choice_.new_classes.empty()) return model;
    auto parts = split_output(model.graph(), choice_.new_classes);
    std::string output = parts.first;
    int64_t classes = parse_integer("--new-classes", parts.second);
    if (output.empty()) output = loss_options(model.graph(), choice_.loss, common_)[0].output;
    NewClasses changed = in_context(
        choice_.model_path, [&] { return with_new_classes(model, classes, output, common_.seed); });
    info("new layer before output '{}': {} classes instead of {}, fresh {}", changed.output,
         classes, changed.classes_before, name_list(changed.tensors));
    if (choice_.head_only) choice_.parameters.only = changed.tensors;
    return changed.model;
  }

  void finish(const Fit& fit, const std::optional<Evaluation>& test) const {
    if (test) {
      std::string text = fmt::format("test loss {:.6g}", test->loss);
      for (const auto& [name, value] : test->metrics)
        text += fmt::format(", {} {:.6g}", name, value);
      info("{}", text);
    }
    if (choice_.writes_standardization()) {
      info("means and deviations of the inputs are written: {}", choice_.standardization_path());
    }
    if (!fit.options().feed.streams.empty()) {
      info("steps waited {:.3g} s for files", fit.waited());
    }
    info("{} steps in {:.3g} s, last loss {:.6g}; written: {}", fit.steps(), fit.seconds(),
         fit.last_loss(), choice_.written_path());
    if (common_.json) print_json(fit, test);
  }

  void print_json(const Fit& fit, const std::optional<Evaluation>& test) const {
    Json doc = {{"schema", "onnxrun.train/1"},        {"loss", fit.summary().loss},
                {"output", fit.summary().output},     {"optimizer", choice_.optimizer.name},
                {"trained", fit.trainer().trained()}, {"steps", fit.steps()},
                {"last_loss", fit.last_loss()}};
    if (!fit.history().empty()) {
      for (const auto& [name, value] : fit.history().back().metrics) doc[name] = value;
    }
    if (test) {
      doc["test_loss"] = test->loss;
      for (const auto& [name, value] : test->metrics) doc["test_" + name] = value;
    }
    Json unshared = Json::array();
    for (const UnsharedTensor& t : unshared_) {
      unshared.push_back(Json{{"name", t.name}, {"from", t.from}});
    }
    doc["unshared"] = std::move(unshared);
    doc["seconds"] = fit.seconds();
    if (!fit.options().feed.streams.empty()) doc["waited"] = fit.waited();
    doc["written"] = choice_.written_path();
    print(doc.text());
  }

  void write_model(const Fit& fit) const {
    fit.save(choice_.written_path(), choice_.in_place);
    if (choice_.writes_standardization())
      write_arrays(choice_.standardization_path(), fit.standardization());
  }

  void save(const Fit& fit) const {
    {
      UninterruptedScope hold;
      write_model(fit);
    }
    check_interrupt();
  }

  TrainChoice choice_;
  std::vector<UnsharedTensor> unshared_;
};

}  // namespace

const CommandInfo train_command = {
    "train", "trains a model and writes it back",
    "  onnxrun train model.onnx --data train.npz --loss bce --optimizer sgd --lr 0.03 \\\n"
    "      --epochs 500 --batch-size 1 -o trained.onnx\n"
    "  onnxrun train net.onnx --data x=images-idx3-ubyte.gz --data target=labels-idx1-ubyte.gz \\\n"
    "      --scale x=1/255 --loss cross_entropy --optimizer adam --val-split 0.1 -o net2.onnx\n"
    "  onnxrun train net.onnx --data data.npz --freeze 'encoder.*' --log loss.jsonl --plot "
    "loss.svg \\\n"
    "      --epochs 20 -o tuned.onnx\n"
    "  onnxrun train net.onnx --data 'x=[[0,0],[0,1]]' --data 'target=[[0],[1]]' --in-place",
    make_command<Train>};

}  // namespace onnxrun::tool
