// Eclipse Paho C through whatever its URL says (ssl://, ws://, wss://): one message of QoS 1 out and back.
//
// Usage: interop_paho_c_tls URL CA_FILE
#include <MQTTClient.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

void must(int result, const char* what) {
  if (result == MQTTCLIENT_SUCCESS) return;
  std::fprintf(stderr, "%s: %d\n", what, result);
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string topic = "open/paho-c", payload(100'000, 'x');
  MQTTClient client = nullptr;
  must(MQTTClient_create(&client, argv[1], "paho-c-tls", MQTTCLIENT_PERSISTENCE_NONE, nullptr), "create");
  MQTTClient_SSLOptions tls = MQTTClient_SSLOptions_initializer;
  tls.trustStore = argv[2];
  tls.enableServerCertAuth = 1;
  tls.verify = 1;
  MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer;
  options.cleansession = 1;
  options.connectTimeout = 20;
  options.ssl = &tls;
  must(MQTTClient_connect(client, &options), "connect");
  must(MQTTClient_subscribe(client, topic.c_str(), 1), "subscribe");
  MQTTClient_deliveryToken token = 0;
  must(MQTTClient_publish(client, topic.c_str(), static_cast<int>(payload.size()), payload.data(), 1, 0,
                          &token),
       "publish");
  char* came_topic = nullptr;
  int topic_size = 0;
  MQTTClient_message* message = nullptr;
  must(MQTTClient_receive(client, &came_topic, &topic_size, &message, 20'000), "receive");
  if (message == nullptr || message->payloadlen != static_cast<int>(payload.size())) {
    std::fprintf(stderr, "nothing came, or not what was sent\n");
    return 1;
  }
  MQTTClient_freeMessage(&message);
  MQTTClient_free(came_topic);
  must(MQTTClient_disconnect(client, 1'000), "disconnect");
  MQTTClient_destroy(&client);
  std::puts("delivered");
}
