#include "courier/demo/report.h"

#include <fmt/format.h>
#include <unistd.h>

namespace courier::cli::demo {
namespace {

constexpr double kPlainEverySeconds = 1;

std::string_view doing(Phase phase) {
  switch (phase) {
    case Phase::starting:
      return "starting courierd";
    case Phase::gathering:
      return "phones connect";
    case Phase::publishing:
      return "running";
    case Phase::recovering:
      return "courierd is down";
    case Phase::finishing:
      return "running again";
    case Phase::over:
      return "done";
  }
  return "";
}

std::string milliseconds(MonoNs ns) {
  return fmt::format("{:.1f} ms", static_cast<double>(ns) / 1e6);
}

std::string row(std::string_view name, uint64_t number, std::string_view note) {
  return fmt::format("  {:<12}{:>10}   {}\n", name, grouped(number), note);
}

std::string latency_row(std::string_view name, const std::vector<MonoNs>& values) {
  if (values.empty()) return fmt::format("    {:<42}{:>12}{:>12}\n", name, "-", "-");
  return fmt::format("    {:<42}{:>12}{:>12}\n", name, milliseconds(percentile(values, 0.5)),
                     milliseconds(percentile(values, 0.99)));
}

std::string recovery_row(std::string_view name, const std::optional<MonoNs>& time) {
  return fmt::format("    {:<42}{:>12}\n", name, time ? milliseconds(*time) : "none came");
}

std::string counted(uint64_t number, const char* one, const char* several) {
  return fmt::format("{} {}", grouped(number), number == 1 ? one : several);
}

}  // namespace

LiveLine::LiveLine(int fd) : fd_(fd), terminal_(::isatty(fd) == 1) {}

void LiveLine::progress(const Progress& progress) {
  if (terminal_) {
    write("\r" + live_line(progress) + "\x1b[K");
    open_ = true;
    return;
  }
  if (progress.phase != Phase::over && told_at_ >= 0 && progress.seconds - told_at_ < kPlainEverySeconds)
    return;
  told_at_ = progress.seconds;
  write(live_line(progress) + "\n");
}

void LiveLine::event(const std::string& sentence) {
  if (std::exchange(open_, false)) write("\r\x1b[K");
  write(sentence + "\n");
}

void LiveLine::clear() {
  if (std::exchange(open_, false)) write("\n");
}

void LiveLine::write(const std::string& text) const {
  (void)!::write(fd_, text.data(), text.size());
}

std::string live_line(const Progress& progress) {
  return fmt::format("{:5.1f} s  {:<17}  sent {:>6}  delivered {:>6}  acked {:>6}  phones {:>4}/{}",
                     progress.seconds, doing(progress.phase), grouped(progress.counts.sent),
                     grouped(progress.counts.delivered), grouped(progress.counts.acked),
                     progress.phones_connected, progress.phones);
}

std::string table(const Ledger& ledger, const std::optional<Crash>& crash, uint64_t flaps) {
  const Counts& counts = ledger.counts();
  std::string text = "\n";
  text += row("sent", counts.sent, "orders that courierd acknowledged to the backend");
  text += row("delivered", counts.delivered,
              counts.expected == counts.sent
                  ? std::string("orders that a phone showed to its app")
                  : fmt::format("of {}, since merchants have several phones", grouped(counts.expected)));
  text += row("acked", counts.acked, "answers of phones that reached the backend");
  text += row("duplicates", counts.shown_again + counts.acked_again,
              fmt::format("{} orders and {} answers came twice, as QoS 1 may after a broken connection",
                          grouped(counts.shown_again), grouped(counts.acked_again)));
  text += row("lost", ledger.lost(), "sent, and then not delivered or not acked");
  if (counts.strays > 0) text += row("strays", counts.strays, "at a phone that they were not for");
  text +=
      fmt::format("\n  {:<44}{:>12}{:>12}\n", "latency before the crash (scheduled to shown)", "p50", "p99");
  text += latency_row("phones that were connected", ledger.latencies().connected);
  text += latency_row(fmt::format("all, with those that were away"), ledger.latencies().all);
  if (crash) {
    text += fmt::format("\n  recovery, from the kill\n");
    text += recovery_row("to the backend's first PUBACK", crash->first_puback);
    text += recovery_row("to the first order at a phone", crash->first_delivery);
    text += fmt::format(
        "\n  At the kill {} unacknowledged by {}, and {} way to\n"
        "  courierd. Phones went away {} of their own.\n",
        counted(crash->unanswered, "sent order was", "sent orders were"),
        crash->unanswered == 1 ? "its phone" : "their phones",
        counted(crash->on_their_way, "was on its", "were on their"), counted(flaps, "time", "times"));
    if (crash->unanswered < kUnansweredAtKill) {
      text += fmt::format("  That is fewer than {}: give it more orders for a crash that matters.\n",
                          kUnansweredAtKill);
    }
  }
  return text;
}

std::string grouped(uint64_t number) {
  std::string digits = std::to_string(number);
  for (size_t place = digits.size(); place > 3;) {
    place -= 3;
    digits.insert(place, ",");
  }
  return digits;
}

}  // namespace courier::cli::demo
