#include "import/import.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/core.h>

#include "assembly.h"
#include "base/clock.h"
#include "base/log.h"
#include "cluster/etcd/client.h"
#include "cluster/etcd/errc.h"
#include "cluster/etcd/open_cluster.h"
#include "import/recovery.h"
#include "store/errc.h"
#include "store/rocksdb/import_folder.h"

namespace courier::courierd {

namespace {

namespace etcd = cluster::etcd;
using store::ImportFolder;
using store::Inspection;

void say(const std::string& what) {
  fmt::print(stderr, "courier cluster import: {}\n", what);
}

std::filesystem::path real_path(const std::string& path) {
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(path, error);
  std::filesystem::path real = std::filesystem::weakly_canonical(whole, error);
  if (error) real = whole.lexically_normal();
  return real.has_filename() ? real : real.parent_path();  // it ended on a '/'
}

// By any way: what one of the two does with its folder would be done to the other.
bool lies_in(const std::string& inner, const std::string& outer) {
  const std::filesystem::path in = real_path(inner), out = real_path(outer);
  return std::mismatch(out.begin(), out.end(), in.begin(), in.end()).first == out.end();
}

// Which state a store has.
struct StateFacts {
  std::string log_id;
  Position position;
  uint64_t cursor = 0;
  WallMs clock = 0;
};

StateFacts facts_of(const Inspection& store) {
  return {store.log_id(), store.position(), store.cursor(), store.clock()};
}

class Import {
 public:
  Import(const std::string& source_dir, const config::Settings& settings)
      : source_dir_(source_dir), settings_(settings), patience_ms_(settings.cluster.patience.count()) {}

  Result<Imported> run();

 private:
  Result<void> open_source();
  Result<void> find_cluster();
  Result<Imported> look_at_store();
  Failure began_otherwise() const;
  std::optional<StateFacts> facts_of_copy() const;
  Result<Imported> make_copy(std::optional<StateFacts> there, bool begun);
  Result<void> recover_source(WallMs now);
  Result<void> begin_cluster(const StateFacts& facts);
  Failure exists_already() const;

  const std::string& source_dir_;
  const config::Settings& settings_;
  const int64_t patience_ms_;
  std::unique_ptr<Inspection> source_;
  Recovered recovered_;
  Census source_census_;
  std::unique_ptr<etcd::Client> client_;
  std::optional<etcd::Keys> keys_;
  etcd::FoundCluster found_;
  std::unique_ptr<ImportFolder> folder_;
};

Failure Import::exists_already() const {
  return fail(
      etcd::errc::other_cluster,
      fmt::format("there is a cluster \"{}\" in etcd already, begun {}; an import begins a new one, so "
                  "nothing was changed. Take another cluster.name; or, if nobody needs that cluster, "
                  "stop its nodes, delete its keys (etcdctl del --prefix {}) and its data directories",
                  keys_->cluster(), log::iso8601(found_.meta->created), keys_->prefix()));
}

Result<Imported> Import::run() {
  if (Result<void> opened = open_source(); !opened) return fail(opened.error());
  if (Result<void> found = find_cluster(); !found) return fail(found.error());
  auto folder = ImportFolder::open(settings_.data_dir);
  if (!folder) return fail(folder.error().within("data_dir of the new node"));
  folder_ = *std::move(folder);
  if (folder_->holds_store()) return look_at_store();
  if (found_.left_over) return fail(etcd::errc::other_cluster, etcd::left_over_keys(*keys_));
  auto there = facts_of_copy();
  const bool begun = found_.meta && there && there->log_id == found_.meta->id;
  if (found_.meta && !begun) return exists_already();
  auto made = make_copy(std::move(there), begun);
  if (!made) return made;
  say(fmt::format("putting it in place as {}", settings_.data_dir));
  if (Result<void> moved = ImportFolder::put_in_place(std::move(folder_)); !moved) return fail(moved.error());
  return made;
}

Result<void> Import::open_source() {
  std::error_code ignored;
  if (std::filesystem::equivalent(source_dir_, settings_.data_dir, ignored)) {
    return fail(store::errc::already_there,
                source_dir_ +
                    " is the data_dir of the new node's own settings. The node alone keeps its "
                    "folder, to go back to; give the new node another, empty data_dir");
  }
  const bool below = lies_in(settings_.data_dir, source_dir_);
  if (below || lies_in(source_dir_, settings_.data_dir)) {
    return fail(
        store::errc::already_there,
        fmt::format("{} lies in {}: give the new node an empty data_dir beside the old one. Nothing "
                    "was changed",
                    below ? settings_.data_dir : source_dir_, below ? source_dir_ : settings_.data_dir));
  }
  auto source = Inspection::open(source_dir_);
  if (!source) return fail(source.error());
  source_ = *std::move(source);
  for (const std::string& notice : source_->notices()) say(notice);
  if (source_->log_id().empty()) return {};
  return fail(
      store::errc::another_log,
      source_dir_ + " holds the state of a cluster's node (log " + source_->log_id() +
          "), not of a node alone. A new node of that cluster needs no import: it gets the state from "
          "another one by itself");
}

Result<void> Import::find_cluster() {
  auto keys = etcd::Keys::of(settings_.cluster.name);
  if (!keys) return fail(keys.error());
  keys_ = *std::move(keys);
  auto options = etcd_options_of(settings_);
  if (!options) return fail(options.error());
  auto client = etcd::Client::open(*std::move(options));
  if (!client) return fail(client.error());
  client_ = *std::move(client);
  if (const auto engine = etcd::check_engine(*client_, patience_ms_); !engine) return fail(engine.error());
  auto found = etcd::find_cluster(*client_, *keys_, patience_ms_);
  if (!found) return fail(found.error());
  found_ = *std::move(found);
  return {};
}

// An import was here before, or data_dir is somebody else's.
Result<Imported> Import::look_at_store() {
  folder_.reset();  // its lock is the inspection's now
  const auto store = Inspection::open(settings_.data_dir);
  if (!store) return fail(store.error().within("data_dir of the new node"));
  if (!found_.meta || (*store)->log_id() != found_.meta->id || !found_.meta->imported) {
    if (found_.meta) return exists_already();
    return fail(store::errc::already_there,
                fmt::format("{} holds the state of {} already; the new node needs an empty data_dir. Nothing "
                            "was changed",
                            settings_.data_dir,
                            (*store)->log_id().empty() ? "a node alone" : "a node of another cluster"));
  }
  const etcd::Meta& meta = *found_.meta;
  Imported imported{{}, {}, meta.imported, true, (*store)->position() > meta.imported};
  if ((*store)->position() < meta.imported) {
    return fail(
        store::errc::already_there,
        fmt::format("{} is of a node of the cluster \"{}\" that has not got the state yet, with which "
                    "that began. Import into the data_dir of the first node; nothing was changed",
                    settings_.data_dir, keys_->cluster()));
  }
  if (imported.has_gone_on) {
    if (meta.imported_digest.empty()) {
      return fail(
          store::errc::already_there,
          fmt::format("the cluster \"{}\" was begun with an import before (state as of position {}), "
                      "and has gone on since. Whether with that of {} cannot be told: keep it. Nothing "
                      "was changed",
                      keys_->cluster(), meta.imported.value, source_dir_));
    }
    if (Result<void> read = recover_source(meta.imported_clock); !read) return fail(read.error());
    if (recovered_.position != meta.imported || digest_of(source_census_) != meta.imported_digest)
      return began_otherwise();
    imported.source = source_census_;
    return imported;
  }
  if (Result<void> read = recover_source((*store)->clock()); !read) return fail(read.error());
  auto result = census_of(**store);
  if (!result) return fail(result.error());
  const std::string different = difference(source_census_, *result);
  if (!different.empty() || recovered_.position != imported.position) return began_otherwise();
  imported.source = source_census_;
  imported.result = *std::move(result);
  return imported;
}

Failure Import::began_otherwise() const {
  return fail(store::errc::already_there,
              fmt::format("the cluster \"{}\" began with another state than {} holds now: that has gone on "
                          "since, or is another node's. Keep it; nothing was changed",
                          keys_->cluster(), source_dir_));
}

// Nothing if there is none, or not all of one.
std::optional<StateFacts> Import::facts_of_copy() const {
  const auto copy = Inspection::open(folder_->path());
  if (!copy || (*copy)->log_id().empty()) return std::nullopt;
  return facts_of(**copy);
}

Result<void> Import::recover_source(WallMs now) {
  say(fmt::format("reading {}", source_dir_));
  auto recovered = recover(*source_, now);
  if (!recovered) return fail(recovered.error().within(source_dir_));
  recovered_ = *std::move(recovered);
  auto census = census_of(*source_, recovered_.changes);
  if (!census) return fail(census.error().within(source_dir_));
  source_census_ = *std::move(census);
  return {};
}

// `there`: a copy that an earlier import left; `begun`: the cluster is there, and it is its state.
Result<Imported> Import::make_copy(std::optional<StateFacts> there, bool begun) {
  // Of an etcd that was set up anew since.
  if (there && !begun && there->cursor > found_.revision) there.reset();
  while (true) {
    const WallMs now = there ? there->clock : std::max(system_clock().wall_ms(), source_->clock());
    if (Result<void> read = recover_source(now); !read) return fail(read.error());
    if (there) {
      say("an earlier import has copied it already");
    } else {
      say(fmt::format("copying it to {}", folder_->path()));
      Result<void> copied = folder_->copy(source_dir_);
      if (copied) {
        copied =
            folder_->finish(recovered_.changes, recovered_.position, now, etcd::random_id(), found_.revision);
      }
      if (!copied) {
        folder_->remove();
        return fail(copied.error());
      }
    }
    say("comparing the two");
    StateFacts facts;
    Result<Census> result;
    {
      const auto copy = Inspection::open(folder_->path());
      if (!copy) return fail(copy.error());
      facts = facts_of(**copy);
      result = census_of(**copy);
    }
    const std::string different = result ? difference(source_census_, *result) : result.error().message;
    if (different.empty() && facts.position == recovered_.position) {
      if (!begun) {
        if (Result<void> done = begin_cluster(facts); !done) return fail(done.error());
      }
      return Imported{source_census_, *std::move(result), facts.position};
    }
    if (begun) {
      return fail(
          store::errc::already_there,
          fmt::format("the cluster \"{}\" was begun with another state than {} holds now. If the node "
                      "alone has run since, delete the cluster's keys (etcdctl del --prefix {}) and "
                      "{}, and import again",
                      keys_->cluster(), source_dir_, keys_->prefix(), folder_->path()));
    }
    folder_->remove();
    if (!there) {
      return fail(
          store::errc::damaged,
          fmt::format("the copy of {} is not what it holds, there is a difference in {}; no cluster was "
                      "begun. Is the disk sound?",
                      source_dir_, different.empty() ? "its position" : different));
    }
    there.reset();
  }
}

// When etcd does not answer, it may have been done nevertheless: the copy stays for the next attempt.
Result<void> Import::begin_cluster(const StateFacts& facts) {
  say(fmt::format("beginning the cluster \"{}\"", keys_->cluster()));
  const etcd::Meta meta{facts.log_id, settings_.cluster.partitions, system_clock().wall_ms(), facts.position,
                        facts.clock,  digest_of(source_census_)};
  Result<void> done = etcd::begin_with_state(*client_, *keys_, meta, facts.cursor, patience_ms_);
  if (!done && done.error().code == make_error_code(etcd::errc::other_cluster)) folder_->remove();
  return done;
}

}  // namespace

Result<Imported> import_node(const std::string& source_dir, const config::Settings& settings) {
  return Import(source_dir, settings).run();
}

int run_import(const std::string& source_dir, const config::Settings& settings) {
  enum { kOk = 0, kFailure = 1, kUsage = 2, kNoConnection = 3, kRefused = 4 };
  if (settings.cluster.name.empty()) {
    say("these settings are of a node alone: give the configuration of the cluster's first node, with "
        "[cluster]");
    return kUsage;
  }
  const auto done = import_node(source_dir, settings);
  if (!done) {
    say(done.error().message);
    const std::error_code code = done.error().code;
    if (code == make_error_code(etcd::errc::unavailable)) return kNoConnection;
    if (code == make_error_code(etcd::errc::refused)) return kRefused;
    if (code == make_error_code(etcd::errc::bad_options)) return kUsage;
    return kFailure;
  }
  if (done->has_gone_on) {
    fmt::print(
        "the cluster \"{}\" was begun with the state of {} before (as of position {}), and has gone on "
        "since; nothing was left to do\n",
        settings.cluster.name, source_dir, done->position.value);
    return kOk;
  }
  fmt::print("{}", side_by_side(done->source, done->result));
  fmt::print("every row is the same; the cluster \"{}\" {}with this, as of position {}\n",
             settings.cluster.name, done->was_done ? "was begun before " : "begins ", done->position.value);
  fmt::print(
      "next: start this node, then the others with an empty data_dir each; keep {} until you are sure\n",
      source_dir);
  std::error_code ignored;
  const std::filesystem::path bans = std::filesystem::path(source_dir) / "bans";
  if (std::filesystem::exists(bans, ignored)) {
    fmt::print("bans are each node's own: copy {} into every node's data_dir\n", bans.string());
  }
  return kOk;
}

}  // namespace courier::courierd
