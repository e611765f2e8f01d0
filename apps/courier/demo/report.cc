#include "courier/demo/report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace courier::cli::demo {
namespace {

constexpr double kPlainEverySeconds = 1;

std::string doing(Phase phase, std::string_view victim) {
  switch (phase) {
    case Phase::starting:
      return "starting";
    case Phase::gathering:
      return "phones connect";
    case Phase::publishing:
      return "running";
    case Phase::recovering:
      return fmt::format("{} is down", victim);
    case Phase::finishing:
      return "served again";
    case Phase::over:
      return "done";
  }
  return "";
}

std::string milliseconds(MonoNs ns) {
  return fmt::format("{:.1f} ms", static_cast<double>(ns) / 1e6);
}

std::string milliseconds(const std::vector<MonoNs>& values, double share) {
  return values.empty() ? "-" : milliseconds(percentile(values, share));
}

std::string row(std::string_view name, uint64_t number, std::string_view note) {
  return fmt::format("  {:<12}{:>10}   {}\n", name, grouped(number), note);
}

std::string latency_row(std::string_view name, const std::vector<MonoNs>& values) {
  return fmt::format("    {:<42}{:>12}{:>12}\n", name, milliseconds(values, 0.5), milliseconds(values, 0.99));
}

std::string latency_heading(std::string_view name) {
  return fmt::format("\n  {:<44}{:>12}{:>12}\n", name, "p50", "p99");
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
                     progress.seconds, doing(progress.phase, progress.victim), grouped(progress.counts.sent),
                     grouped(progress.counts.delivered), grouped(progress.counts.acked),
                     progress.phones_connected, progress.phones);
}

namespace {

std::string orders_rows(const Ledger& ledger) {
  const Counts& counts = ledger.counts();
  std::string text = "\n";
  text += row("sent", counts.sent, "orders that courierd acknowledged to the backend");
  text += row("delivered", counts.delivered,
              counts.expected == counts.sent
                  ? std::string("orders that a phone showed to its app")
                  : fmt::format("of {}, since merchants have several phones", grouped(counts.expected)));
  text += row("acked", counts.acked, "answers of phones that reached the backend");
  text += row("duplicates", counts.shown_again + counts.acked_again,
              fmt::format("{} and {} came twice, as QoS 1 may after a broken connection",
                          counted(counts.shown_again, "order", "orders"),
                          counted(counts.acked_again, "answer", "answers")));
  text += row("lost", ledger.lost(), "sent, and then not delivered or not acked");
  if (counts.strays > 0) text += row("strays", counts.strays, "at a phone that they were not for");
  return text;
}

std::string at_the_kill(const Crash& crash, uint64_t flaps) {
  std::string text = fmt::format(
      "\n  At the kill {} unacknowledged by {}, and {} way to\n"
      "  courierd. Phones went away {} of their own.\n",
      counted(crash.unanswered, "sent order was", "sent orders were"),
      crash.unanswered == 1 ? "its phone" : "their phones",
      counted(crash.on_their_way, "was on its", "were on their"), counted(flaps, "time", "times"));
  if (crash.unanswered < kUnansweredAtKill) {
    text += fmt::format("  That is fewer than {}: give it more orders for a crash that matters.\n",
                        kUnansweredAtKill);
  }
  return text;
}

std::string nodes_rows(const Connections& connections, const std::vector<Node>& nodes, size_t victim) {
  std::string text = fmt::format("\n  {:<16}{:>8}{:>10}   {:<24}{:>12}{:>12}\n", "node", "phones", "dropped",
                                 "came back", "half after", "all after");
  size_t connected = 0;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const auto& node = connections.nodes()[i];
    connected += node.at_kill;
    if (i != victim) {
      text +=
          fmt::format("  {:<16}{:>8}{:>10}\n", nodes[i].name, grouped(node.at_kill), grouped(node.dropped));
      continue;
    }
    std::vector<MonoNs> times;
    std::string where;
    for (size_t k = 0; k < nodes.size(); ++k) {
      const auto& here = connections.nodes()[k].came_back;
      times.insert(times.end(), here.begin(), here.end());
      if (!here.empty()) {
        where += fmt::format("{}{} at {}", where.empty() ? "" : ", ", grouped(here.size()), nodes[k].name);
      }
    }
    text += fmt::format("  {:<16}{:>8}{:>10}   {:<24}{:>12}{:>12}\n", nodes[i].name + ", killed",
                        grouped(node.at_kill), grouped(node.at_kill + node.dropped),
                        where.empty() ? "none" : where, milliseconds(times, 0.5), milliseconds(times, 1));
  }
  const size_t away = connections.numbers().size() - connected;
  return text + fmt::format(
                    "  phones: connected at the kill; {} away then. dropped: connections that ended against "
                    "their phone's will\n",
                    counted(away, "was", "were"));
}

}  // namespace

std::string table(const Ledger& ledger, const std::optional<Crash>& crash, uint64_t flaps) {
  std::string text = orders_rows(ledger);
  text += latency_heading("latency before the crash (scheduled to shown)");
  text += latency_row("phones that were connected", ledger.before_crash().connected);
  text += latency_row("all, with those that were away", ledger.before_crash().all);
  if (!crash) return text;
  text += "\n  recovery, from the kill\n";
  text += recovery_row("to the backend's first PUBACK", crash->first_puback);
  text += recovery_row("to the first order at a phone", crash->first_delivery);
  return text + at_the_kill(*crash, flaps);
}

std::string cluster_table(const Ledger& ledger, const std::optional<Crash>& crash, uint64_t flaps,
                          const Connections& connections, const std::vector<Node>& nodes, size_t victim) {
  std::string text = orders_rows(ledger);
  text += latency_heading("latency (scheduled to shown)");
  text += latency_row("before the kill, phones that were connected", ledger.before_crash().connected);
  if (!crash) return text;
  text += latency_row("after it, phones that were connected", ledger.after_crash().connected);
  text += latency_row("after it, all, with those that were away", ledger.after_crash().all);
  text += nodes_rows(connections, nodes, victim);
  return text + at_the_kill(*crash, flaps);
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
