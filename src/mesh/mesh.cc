#include "mesh/mesh.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/log.h"
#include "mesh/hub.h"

namespace courier::mesh {

namespace {

Result<std::shared_ptr<const net::tls::TlsServer>> load_server(const TlsFiles& files) {
  net::tls::ServerOptions options;
  options.certificates = {{files.certificate, files.key, {}}};
  options.version_min = net::tls::Version::tls1_3;
  options.alpn = {};
  options.client_certificates = net::tls::ClientCertificates::required;
  options.client_ca_file = files.ca;
  // A link lasts for weeks: nothing is gained by tickets.
  options.ticket_lifetime = std::chrono::seconds(0);
  // Shared by its interface; nobody else has these keys.
  return net::tls::TlsServer::load(std::move(options), std::make_shared<net::tls::TicketKeys>(),
                                   system_clock().wall_ms());
}

Result<std::shared_ptr<net::tls::TlsClient>> load_client(const TlsFiles& files) {
  net::tls::ClientOptions options;
  options.certificate = files.certificate;
  options.key = files.key;
  options.ca_file = files.ca;
  options.version_min = net::tls::Version::tls1_3;
  options.alpn = {};
  options.resume = false;
  return net::tls::TlsClient::load(std::move(options));
}

Result<void> check(const Options& options) {
  for (const auto& [what, text] :
       {std::pair<std::string_view, const std::string&>{"node id", options.node_id},
        {"cluster's name", options.cluster},
        {"log id", options.log_id}}) {
    if (text.empty() || text.size() > kNameBytesMax) {
      return fail(errc::bad_setting, fmt::format("the mesh needs a {} of 1 to {} bytes; it has {}", what,
                                                 kNameBytesMax, text.size()));
    }
  }
  if (!options.bind.is_ip()) {
    return fail(errc::bad_setting,
                "the mesh listens at an IP address: " + options.bind.to_string() + " is none");
  }
  const Limits& limits = options.limits;
  if (limits.pending_max == 0 || limits.queue_bytes_max == 0 ||
      std::min({limits.greeting_ns, limits.ping_ns, limits.silent_ns, limits.redial_first_ns,
                limits.redial_max_ns}) <= 0) {
    return fail(errc::bad_setting, "the mesh's limits must all be greater than 0");
  }
  if (options.tls && options.tls->ca.empty()) {
    return fail(errc::bad_setting, "the mesh's TLS needs a file of who issues the nodes' certificates");
  }
  return {};
}

}  // namespace

Mesh::Mesh(Options options, Registry& registry, std::shared_ptr<Core> core, net::Listener listener)
    : options_(std::move(options)),
      registry_(registry),
      core_(std::move(core)),
      address_(listener.address()),
      listener_(std::move(listener)) {
  for (size_t i = 0; i < options_.shards; ++i) {
    senders_.push_back(std::make_unique<Sender>(core_, options_.limits.queue_bytes_max, registry_));
  }
}

Result<std::unique_ptr<Mesh>> Mesh::open(Options options, Registry& registry) {
  if (auto checked = check(options); !checked) return fail(checked.error());
  std::shared_ptr<const net::tls::TlsServer> server;
  std::shared_ptr<net::tls::TlsClient> client;
  if (options.tls) {
    auto loaded = load_server(*options.tls);
    if (!loaded) return fail(loaded.error().within("the mesh's TLS"));
    server = *std::move(loaded);
    for (const std::string& warning : server->warnings()) log::warn("the mesh's TLS", {{"warning", warning}});
    auto other = load_client(*options.tls);
    if (!other) return fail(other.error().within("the mesh's TLS"));
    client = *std::move(other);
  }
  auto loop = net::EventLoop::open();
  if (!loop) return fail(loop.error());
  auto listener = net::Listener::open(options.bind);
  if (!listener) return fail(listener.error().within("the mesh"));
  auto core = std::make_shared<Core>(*std::move(loop));
  std::unique_ptr<Mesh> mesh(new Mesh(std::move(options), registry, std::move(core), *std::move(listener)));
  mesh->tls_server_ = std::move(server);
  mesh->tls_client_ = std::move(client);
  return mesh;
}

Mesh::~Mesh() {
  stop();
}

const net::SocketAddress& Mesh::address() const {
  return address_;
}

void Mesh::start(NodeEpoch self, Handler& handler) {
  CHECK(!hub_ && listener_ && self);
  hub_ = std::make_unique<Hub>(Hub::Setup{options_, registry_, core_, *std::exchange(listener_, std::nullopt),
                                          tls_server_, tls_client_, self, handler},
                               system_clock().mono_ns());
  thread_ = std::thread([this] { hub_->run(); });
  pthread_setname_np(thread_.native_handle(), "mesh");
}

void Mesh::stop() {
  listener_.reset();
  if (!hub_) {
    core_->tasks.close();
    return;
  }
  core_->tasks.post([](Hub& hub) { hub.quit(); });
  thread_.join();
  hub_.reset();
}

void Mesh::set_members(std::vector<Member> members) {
  core_->tasks.post([members = std::move(members)](Hub& hub) { hub.set_members(members); });
}

bool Mesh::reachable(NodeEpoch peer) const {
  for (const PeerPtr& one : *core_->peers.get()) {
    if (one->epoch == peer) return one->up.load(std::memory_order_acquire);
  }
  return false;
}

Sender& Mesh::sender(size_t shard) {
  CHECK(shard < senders_.size());
  return *senders_[shard];
}

void Mesh::request(NodeEpoch to, uint16_t kind, std::string body, MonoNs timeout, OnAnswer on_answer) {
  const bool taken = core_->tasks.post(
      [=, body = std::move(body)](Hub& hub) { hub.request(to, kind, body, timeout, on_answer); });
  if (taken) return;
  on_answer(
      {.kind = Answer::Kind::failed, .error = Error(make_error_code(errc::stopped), "this node stops")});
}

}  // namespace courier::mesh
