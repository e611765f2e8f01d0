// courier events: what courierd can tell of, for those who read it.
#include <cstdio>
#include <memory>

#include "courier/command.h"
#include "events/catalogue/catalogue.h"
#include "events/catalogue/schema.h"

namespace courier::cli {
namespace {

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

int kinds() {
  for (const events::KindInfo& each : events::kinds()) {
    fmt::print("{:<18} {:<13} {}\n", each.name, each.durable ? "at least once" : "best effort", each.says);
  }
  return kOk;
}

}  // namespace

Run set_up_events(CLI::App& app) {
  app.require_subcommand(1);
  CLI::App* schema = app.add_subcommand("schema", "Print the protobuf schema of events");
  schema->footer("Example:\n  courier events schema > event.proto && protoc --python_out=. event.proto");
  CLI::App* listing = app.add_subcommand("kinds", "List the kinds of events");
  listing->footer("Example:\n  courier events kinds");
  app.footer(
      "Which of them are told to whom is in the settings: [[sink]].\n\n"
      "Examples:\n"
      "  courier events kinds\n"
      "  courier events schema > event.proto");
  return [schema] {
    if (!schema->parsed()) return kinds();
    print(events::protobuf_schema());
    return static_cast<int>(kOk);
  };
}

}  // namespace courier::cli
