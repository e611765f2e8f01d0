// What a person sees of the demo: one live line while it runs, and a table at the end. Owned by the demo's
// thread.
//
// On a terminal the line is written over itself; anywhere else a new one comes every second.
#pragma once

#include <string>

#include "courier/demo/main_job.h"

namespace courier::cli::demo {

class LiveLine final : public Narrator {
 public:
  explicit LiveLine(int fd);
  ~LiveLine() { clear(); }
  void progress(const Progress& progress) override;
  void event(const std::string& sentence) override;
  // The next line written by anybody stands on its own.
  void clear();

 private:
  void write(const std::string& text) const;

  const int fd_;
  const bool terminal_;
  bool open_ = false;  // the cursor stands behind the live line
  double told_at_ = -1;
};

std::string live_line(const Progress& progress);

// The table, several lines. Of a node that is alone:
std::string table(const Ledger& ledger, const std::optional<Crash>& crash, uint64_t flaps);
// Of a cluster, with what became of each node's connections; the phones are those of `connections`.
std::string cluster_table(const Ledger& ledger, const std::optional<Crash>& crash, uint64_t flaps,
                          const Connections& connections, const std::vector<Node>& nodes, size_t victim);

// 1234567 as "1,234,567".
std::string grouped(uint64_t number);

}  // namespace courier::cli::demo
