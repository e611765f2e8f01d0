// A worker on the conductor's own loop: for runs that one process can carry.
#pragma once

#include <memory>

#include "load/conductor.h"
#include "load/limits.h"

namespace courier::load {

class LocalHand final : public Hand {
 public:
  explicit LocalHand(std::unique_ptr<Worker> worker) : worker_(std::move(worker)) {}

  void begin_stage(size_t stage, int64_t began_us) override { worker_->begin_stage(stage, began_us); }
  void end_stage() override { worker_->end_stage(); }
  void hang_up() override {
    missing_ = worker_->describe_missing(kMissingShown);
    worker_->hang_up();
  }
  bool gone() override { return worker_->gone(); }
  std::optional<WorkerReport> report() override { return worker_->report(); }
  std::vector<Letters> take_letters() override { return worker_->take_letters(); }
  void deliver(const Letters& letters) override { worker_->deliver(letters); }
  void set_share_members(uint32_t share, const ShareMembers& elsewhere) override {
    worker_->set_share_members(share, elsewhere);
  }
  std::vector<std::string> missing() override { return std::move(missing_); }

 private:
  std::unique_ptr<Worker> worker_;
  std::vector<std::string> missing_;
};

}  // namespace courier::load
