// The bodies of frames (frames.h) as bytes: varints and strings with their length in front. Pure.
//
// Readers take anything: what is cut off, too long or impossible is std::nullopt.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "load/scenario_file.h"
#include "load/worker.h"

namespace courier::load {

struct Hello {
  std::string version;  // of the program; both sides must have the same
  std::string nonce;
};
std::string to_bytes(const Hello& hello);
std::optional<Hello> read_hello(std::string_view bytes);

// What a worker needs to know to play its part.
struct Preparation {
  std::string file;  // the scenario's name, for messages
  std::string text;
  Overrides set;
  Worker::Part part;
};
std::string to_bytes(const Preparation& preparation);
std::optional<Preparation> read_preparation(std::string_view bytes);

// Why a worker will not play.
struct Refusal {
  bool invalid_scenario = false;
  std::string why;
};
std::string to_bytes(const Refusal& refusal);
std::optional<Refusal> read_refusal(std::string_view bytes);

std::string to_bytes(const WorkerReport& report);
std::optional<WorkerReport> read_report(std::string_view bytes);

// One worker's letters, and to which.
std::string to_bytes(uint32_t to, const Letters& letters);
struct Mail {
  uint32_t to = 0;
  Letters letters;
};
std::optional<Mail> read_mail(std::string_view bytes);

struct StageBegin {
  uint32_t stage = 0;
  int64_t began_us = 0;
};
std::string to_bytes(const StageBegin& begin);
std::optional<StageBegin> read_stage_begin(std::string_view bytes);

// Who holds a shared subscription at other workers.
struct ShareNews {
  uint32_t share = 0;
  ShareMembers elsewhere;
};
std::string to_bytes(const ShareNews& news);
std::optional<ShareNews> read_share_news(std::string_view bytes);

std::string to_bytes(const std::vector<std::string>& texts);
std::optional<std::vector<std::string>> read_texts(std::string_view bytes);

std::string to_bytes(uint64_t number);
std::optional<uint64_t> read_number(std::string_view bytes);

}  // namespace courier::load
