#include "courier/demo/main_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/check.h"

namespace courier::cli::demo {

using client::Client;
using client::Completion;
using client::Ending;

namespace {

constexpr int64_t kWatchMs = 10;
constexpr int64_t kToldEveryMs = 200;
// The longest that nothing at all may happen.
constexpr MonoNs kPatience = 20'000'000'000;
constexpr size_t kFiltersPerSubscribe = 500;
constexpr double kOnlineMsMean = 4'000;
constexpr int64_t kOnlineMsLeast = 300, kOnlineMsMost = 20'000;
constexpr int64_t kAwayMsLeast = 50, kAwayMsMost = 800;
constexpr uint32_t kSessionSeconds = 3'600;
// Short, so that the time of recovery is courierd's and not that of waiting to try again.
constexpr client::Backoff kBackoff{.first_ms = 10, .max_ms = 60};

std::string phone_name(size_t index) {
  return fmt::format("phone-{:03}", index + 1);
}

std::optional<size_t> phone_index(std::string_view name) {
  constexpr std::string_view kPrefix = "phone-";
  size_t number = 0;
  if (!name.starts_with(kPrefix)) return {};
  const auto read = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), number);
  if (read.ec != std::errc() || read.ptr != name.data() + name.size() || number == 0) return {};
  return number - 1;
}

// Each phone's own address: of the networks for documentation (RFC 5737), then of the one for benchmarks
// (RFC 2544).
net::SocketAddress phone_address(size_t index) {
  constexpr std::array<std::array<uint8_t, 3>, 3> kNetworks{{{198, 51, 100}, {203, 0, 113}, {192, 0, 2}}};
  const auto port = static_cast<uint16_t>(40'000 + index % 20'000);
  if (index < 3 * 254) {
    const auto& network = kNetworks[index / 254];
    return net::SocketAddress::ipv4(
        {network[0], network[1], network[2], static_cast<uint8_t>(1 + index % 254)}, port);
  }
  const size_t number = index - 3 * 254 + 1;
  return net::SocketAddress::ipv4({198, static_cast<uint8_t>(18 + (number >> 16)),
                                   static_cast<uint8_t>(number >> 8), static_cast<uint8_t>(number)},
                                  port);
}

std::shared_ptr<const client::ConnectOptions> persistent(client::Version version) {
  client::ConnectOptions options;
  options.version = version;
  options.clean_start = false;
  options.keep_alive_seconds = 30;
  if (version == client::Version::v5) options.session_expiry_seconds = kSessionSeconds;
  options.restore_subscriptions = false;  // a session that was lost must show
  return std::make_shared<const client::ConnectOptions>(std::move(options));
}

// "could not …: 0x97 Quota exceeded"
std::string words_of(const Completion& completion) {
  if (completion.error) return completion.error.message();
  for (const auto reason : completion.reasons) {
    if (mqtt::is_error(reason)) return std::string(mqtt::name(reason));
  }
  return std::string(mqtt::name(completion.reason));
}

}  // namespace

// ---- A phone

MainJob::Phone::Phone(MainJob& owner, size_t number) : job(owner), index(number), timer([this] { flap(); }) {}

void MainJob::Phone::on_connected(Client&, const mqtt::Connack&, bool session_present) {
  const size_t node = job.node_of(*client);
  job.connections_.connected(index, node, system_clock().mono_ns());
  since_crash = job.crash_.has_value();
  if (subscribed && !session_present) {
    return job.fail(
        fmt::format("{} does not know the session of {}", job.broker_.nodes()[node].name, phone_name(index)));
  }
  if (std::exchange(asked, true)) return;
  std::vector<client::Subscription> filters;
  for (const uint32_t merchant : job.ledger_.merchants_of(index)) {
    filters.push_back({fmt::format("merchant/{}/orders", job.orders_.merchants[merchant]),
                       {.qos = client::Qos::at_least_once}});
    if (filters.size() < kFiltersPerSubscribe && merchant != job.ledger_.merchants_of(index).back()) continue;
    ++subscriptions_awaited;
    if (auto sent = client->subscribe(std::exchange(filters, {})); !sent)
      return job.fail(sent.error().message);
  }
}

void MainJob::Phone::on_disconnected(Client&, const Ending& ending, std::optional<int64_t>) {
  job.connections_.dropped(index);
  job.connection_failed(phone_name(index), *client, ending);
}

void MainJob::Phone::on_message(Client&, const mqtt::Publish& publish) {
  const MonoNs now = system_clock().mono_ns();
  const std::string order = order_of(publish.payload);
  job.ledger_.shown(index, order, now, job.connections_.numbers()[index]);
  if (since_crash && !job.crash_->first_delivery) job.crash_->first_delivery = now - job.killed_at_;
  // merchant/{id}/orders is answered on merchant/{id}/acks.
  client::OutgoingMessage answer;
  answer.topic = std::string(publish.topic.substr(0, publish.topic.rfind('/'))) + "/acks";
  answer.payload = answer_payload({order, phone_name(index)});
  answer.qos = client::Qos::at_least_once;
  if (auto sent = client->publish(answer); !sent) job.fail(phone_name(index) + ": " + sent.error().message);
}

void MainJob::Phone::on_published(Client&, const Completion& completion) {
  if (!completion.ok()) {
    job.fail(fmt::format("an answer of {} was refused: {}", phone_name(index), words_of(completion)));
  }
}

void MainJob::Phone::on_subscribed(Client&, const Completion& completion) {
  if (!completion.ok()) {
    return job.fail(fmt::format("{} could not subscribe: {}", phone_name(index), words_of(completion)));
  }
  if (--subscriptions_awaited > 0) return;
  subscribed = true;
  ++job.phones_subscribed_;
}

// The timer's: away when it was there, and back when it was away.
void MainJob::Phone::flap() {
  if (away) {
    if (held) return;
    away = false;
    if (auto opened = client->open(); !opened) return job.fail(opened.error().message);
  } else if (client->online() && !job.connections_.awaited(index)) {
    ++job.flaps_;
    leave();
    job.loop_.arm(timer, job.between_ms(kAwayMsLeast, kAwayMsMost));
    return;
  }
  std::exponential_distribution<double> online(1 / kOnlineMsMean);
  const auto stay = static_cast<int64_t>(online(job.random_));
  job.loop_.arm(timer, std::clamp(stay, kOnlineMsLeast, kOnlineMsMost));
}

void MainJob::Phone::leave() {
  away = true;
  job.connections_.left(index);
  switch (job.between_ms(0, 3)) {
    case 0:
      return client->close();  // with a DISCONNECT
    case 1:
      return client->cut();
    default:
      return client->cut(client::Cut::reset);  // a tunnel
  }
}

// ---- The backend

void MainJob::Backend::on_connected(Client&, const mqtt::Connack&, bool session_present) {
  since_crash = job.crash_.has_value();
  if (subscribed && !session_present) return job.fail("the session of the backend is not known any more");
  if (std::exchange(asked, true)) return;
  auto sent = client->subscribe({{"merchant/+/acks", {.qos = client::Qos::at_least_once}}});
  if (!sent) job.fail(sent.error().message);
}

void MainJob::Backend::on_disconnected(Client&, const Ending& ending, std::optional<int64_t>) {
  if (asked && job.in_cluster()) return job.fail("the backend was disconnected: " + ending.message);
  job.connection_failed("the backend", *client, ending);
}

void MainJob::Backend::on_message(Client&, const mqtt::Publish& publish) {
  const Answer answer = read_answer(publish.payload);
  job.ledger_.acked(phone_index(answer.phone).value_or(SIZE_MAX), answer.order);
}

void MainJob::Backend::on_published(Client&, const Completion& completion) {
  const auto found = job.unsettled_.find(completion.request.value);
  if (found == job.unsettled_.end()) return;
  const size_t order = found->second;
  job.unsettled_.erase(found);
  if (completion.ok()) {
    job.ledger_.sent(order);
    if (since_crash && !job.crash_->first_puback) {
      job.crash_->first_puback = system_clock().mono_ns() - job.killed_at_;
    }
  } else {
    job.ledger_.refused(order);
    job.fail(fmt::format("order {} was refused: {}", job.orders_.orders[order].id, words_of(completion)));
  }
}

void MainJob::Backend::on_subscribed(Client&, const Completion& completion) {
  if (!completion.ok()) return job.fail("the backend could not subscribe: " + words_of(completion));
  subscribed = true;
  job.gather();
}

// ---- The job

MainJob::MainJob(client::ClientLoop& loop, const JobSettings& settings, const Orders& orders, Broker& broker,
                 Narrator& narrator)
    : loop_(loop),
      settings_(settings),
      orders_(orders),
      broker_(broker),
      narrator_(narrator),
      ledger_(orders, settings.phones),
      random_(settings.seed),
      backend_(*this),
      connections_(broker.nodes().size(), settings.phones),
      publisher_([this] { publish_due(); }),
      watcher_([this] { watch(); }),
      began_(system_clock().mono_ns()),
      moved_at_(began_) {}

MainJob::~MainJob() {
  for (const auto& phone : phones_) loop_.cancel(phone->timer);
  loop_.cancel(publisher_);
  loop_.cancel(watcher_);
}

std::optional<std::string> MainJob::run() {
  Interrupt interrupt(loop_, [this] {
    interrupted_ = true;
    fail("interrupted");
  });
  if (auto started = broker_.start(); !started) return started.error().message;
  client::ClientSetup setup;
  const size_t survivor = in_cluster() && broker_.victim() == 0 ? 1 : 0;
  setup.server = client::Endpoint::of(broker_.nodes()[survivor].backend);
  setup.connect = persistent(client::Version::v5);
  setup.client_id = "backend";
  setup.backoff = kBackoff;
  backend_.client = std::make_unique<Client>(loop_, std::move(setup), backend_);
  if (auto opened = backend_.client->open(); !opened) return opened.error().message;
  watch();
  while (phase_ != Phase::over) loop_.run_once();
  if (!failure_) narrator_.progress(progress());
  return failure_;
}

Progress MainJob::progress() const {
  return {.phase = phase_,
          .seconds = static_cast<double>(system_clock().mono_ns() - began_) / 1e9,
          .orders = orders_.orders.size(),
          .phones = settings_.phones,
          .phones_connected = connections_.count(),
          .unanswered = ledger_.promised(),
          .counts = ledger_.counts(),
          .victim = victim()};
}

size_t MainJob::node_of(const Client& client) const {
  const auto& nodes = broker_.nodes();
  const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const Node& node) {
    return node.phones == client.server_address() || node.backend == client.server_address();
  });
  CHECK(found != nodes.end());
  return static_cast<size_t>(found - nodes.begin());
}

// Its own first: as many phones have each of them. Then the others by turns, so that those of a dead node do
// not all go to the same one; by twos, since every second phone is away at the kill.
std::shared_ptr<const client::Endpoint> MainJob::nodes_for(size_t phone) const {
  const size_t count = broker_.nodes().size(), own = phone % count;
  std::vector<net::SocketAddress> addresses{broker_.nodes()[own].phones};
  for (size_t i = 0; i + 1 < count; ++i) {
    const size_t turn = (i + phone / (2 * count)) % (count - 1);
    addresses.push_back(broker_.nodes()[(own + 1 + turn) % count].phones);
  }
  return client::Endpoint::any_of(std::move(addresses));
}

// A node answers: now the phones.
void MainJob::gather() {
  if (phase_ != Phase::starting) return;
  phase_ = Phase::gathering;
  const auto v311 = persistent(client::Version::v3_1_1);
  const auto v5 = persistent(client::Version::v5);
  for (size_t i = 0; i < settings_.phones; ++i) {
    auto phone = std::make_unique<Phone>(*this, i);
    client::ClientSetup setup;
    setup.server = nodes_for(i);
    setup.connect = i % 2 == 0 ? v5 : v311;
    setup.client_id = phone_name(i);
    setup.backoff = kBackoff;
    if (const Node& node = broker_.nodes().front(); node.proxied) {
      setup.preamble = client::proxy_preamble(1, phone_address(i), node.phones);
    }
    phone->client = std::make_unique<Client>(loop_, std::move(setup), *phone);
    if (auto opened = phone->client->open(); !opened) return fail(opened.error().message);
    phones_.push_back(std::move(phone));
  }
}

void MainJob::begin_publishing() {
  phase_ = Phase::publishing;
  publishing_since_ = system_clock().mono_ns();
  // The first leave spread over the mean, so that not all of them stay at first.
  for (const auto& phone : phones_) {
    loop_.arm(phone->timer, between_ms(kOnlineMsLeast, static_cast<int64_t>(kOnlineMsMean)));
  }
  publish_due();
}

void MainJob::publish_due() {
  if (phase_ == Phase::over) return;
  const double interval = 1e9 / settings_.rate;
  const MonoNs now = system_clock().mono_ns();
  while (next_order_ < orders_.orders.size()) {
    const MonoNs scheduled =
        publishing_since_ + static_cast<MonoNs>(static_cast<double>(next_order_) * interval);
    if (scheduled > now) {
      loop_.arm(publisher_, (scheduled - now) / kNsPerMs);
      return;
    }
    const Order& order = orders_.orders[next_order_];
    client::OutgoingMessage message;
    message.topic = fmt::format("merchant/{}/orders", orders_.merchants[order.merchant]);
    message.payload = order.line;
    message.qos = client::Qos::at_least_once;
    message.properties.content_type = "application/json";
    const auto request = backend_.client->publish(message);
    if (!request) return fail("the backend cannot publish: " + request.error().message);
    unsettled_.emplace(request->value, next_order_);
    ledger_.published(next_order_, scheduled, connections_.numbers());
    ++next_order_;
  }
}

// Every few milliseconds: are all alive, is it time for the next thing, does anything still move.
void MainJob::watch() {
  const MonoNs now = system_clock().mono_ns();
  if (auto end = broker_.end()) fail(std::move(*end));
  if (in_cluster() && !crash_) look_for_dropped();
  advance();
  if (phase_ == Phase::over) return;
  look_for_stall(now);
  if (now - told_at_ >= kToldEveryMs * kNsPerMs) {
    told_at_ = now;
    narrator_.progress(progress());
  }
  loop_.arm(watcher_, kWatchMs);
}

void MainJob::advance() {
  const size_t orders = orders_.orders.size();
  switch (phase_) {
    case Phase::starting:
    case Phase::over:
      return;
    case Phase::gathering:
      if (phones_subscribed_ == phones_.size()) {
        narrator_.event(fmt::format("{} phones have subscribed; the backend publishes", phones_.size()));
        begin_publishing();
      }
      return;
    case Phase::publishing:
      // Shortly before the middle half of the phones vanish, so that enough is promised at the kill; when the
      // file or the rate is small, all of them.
      if (held_every_ == 0 && next_order_ * 100 >= orders * 45) hold(2);
      if (!in_cluster() && held_every_ == 2 && next_order_ * 100 >= orders * 55) hold(1);
      if (next_order_ == orders && unsettled_.empty()) return strike();
      if (in_cluster() && next_order_ * 100 >= orders * 60) return strike();
      if (next_order_ * 2 >= orders && ledger_.promised() >= kUnansweredAtKill) strike();
      return;
    case Phase::recovering:
      if (served_again()) narrator_.event(recovery());
      if (served_again() || ledger_.complete()) phase_ = Phase::finishing;
      return;
    case Phase::finishing:
      if (ledger_.complete() && connections_.awaited() == 0) phase_ = Phase::over;
      return;
  }
}

void MainJob::hold(size_t every) {
  held_every_ = every;
  for (size_t i = 0; i < phones_.size(); i += every) {
    Phone& phone = *phones_[i];
    phone.held = true;
    if (!phone.away) phone.leave();
  }
}

void MainJob::strike() {
  killed_at_ = system_clock().mono_ns();
  const auto killed = broker_.kill();
  if (!killed) return fail(killed.error().message);
  ledger_.crash();
  connections_.killed(broker_.victim(), killed_at_);
  crash_ = Crash{.unanswered = ledger_.promised(), .on_their_way = unsettled_.size()};
  phase_ = Phase::recovering;
  narrator_.event(fmt::format("{}; {} phones were connected there, and {} sent orders had no answer yet",
                              *killed, connections_.awaited(), crash_->unanswered));
  for (const auto& phone : phones_) {
    if (!std::exchange(phone->held, false)) continue;
    loop_.arm(phone->timer, between_ms(kAwayMsLeast, kAwayMsMost));
  }
}

bool MainJob::served_again() const {
  if (in_cluster()) return connections_.awaited() == 0;
  return crash_->first_puback && crash_->first_delivery;
}

std::string MainJob::recovery() const {
  if (!in_cluster()) {
    return fmt::format("courierd serves again {} ms after the kill",
                       std::max(*crash_->first_puback, *crash_->first_delivery) / kNsPerMs);
  }
  return fmt::format("all phones of {} are back {} ms after the kill", victim(),
                     connections_.last_came_back() / kNsPerMs);
}

// Before the kill, when no node has a reason.
void MainJob::look_for_dropped() {
  for (size_t i = 0; i < broker_.nodes().size(); ++i) {
    if (connections_.nodes()[i].dropped == 0) continue;
    return fail(fmt::format("{} lost connections of phones when nothing had been killed yet",
                            broker_.nodes()[i].name));
  }
}

void MainJob::look_for_stall(MonoNs now) {
  const Counts& counts = ledger_.counts();
  const uint64_t sum = phones_subscribed_ + counts.published + counts.sent + counts.delivered + counts.acked +
                       settings_.phones - connections_.awaited();
  if (std::exchange(last_sum_, sum) != sum) moved_at_ = now;
  if (now - moved_at_ < kPatience) return;
  const int64_t seconds = kPatience / 1'000'000'000;
  switch (phase_) {
    case Phase::starting:
      return fail(
          fmt::format("{} did not answer within {} s", in_cluster() ? "the cluster" : "courierd", seconds));
    case Phase::gathering:
      return fail(fmt::format("{} of {} phones could not subscribe within {} s",
                              phones_.size() - phones_subscribed_, phones_.size(), seconds));
    case Phase::publishing:
      return fail(fmt::format("nothing has moved for {} s", seconds));
    case Phase::recovering:
      return fail(
          fmt::format("phones of {} were not served again within {} s after the kill", victim(), seconds));
    case Phase::finishing:
      return fail(fmt::format("the missing orders have not come for {} s", seconds));
    case Phase::over:
      return;
  }
}

void MainJob::fail(std::string sentence) {
  if (!failure_) failure_ = std::move(sentence);
  phase_ = Phase::over;
}

// That a connection breaks is what this is about; that a node refuses one is not.
void MainJob::connection_failed(const std::string& who, const Client& client, const Ending& ending) {
  if (!ending.refused_at_connect && !ending.reason) return;
  fail(fmt::format("{} {} {}: {}", broker_.nodes()[node_of(client)].name,
                   ending.refused_at_connect ? "refused" : "disconnected", who, ending.message));
}

int64_t MainJob::between_ms(int64_t least, int64_t most) {
  return std::uniform_int_distribution<int64_t>(least, most)(random_);
}

}  // namespace courier::cli::demo
