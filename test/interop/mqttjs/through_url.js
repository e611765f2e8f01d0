// MQTT.js through whatever its URL says: one message of QoS 1 out and back.
// Usage: node through_url.js URL CA_FILE, from a folder in which `npm ci` was run.
import { readFileSync } from 'node:fs'
import mqtt from 'mqtt'

const [url, caFile] = process.argv.slice(2)
const client = mqtt.connect(url, { ca: readFileSync(caFile), protocolVersion: 5, reconnectPeriod: 0 })
client.on('error', (error) => {
  console.error(error)
  process.exit(1)
})
client.on('connect', async () => {
  client.on('message', (topic, payload) => {
    if (payload.length !== 100_000) process.exit(1)
    console.log('delivered')
    client.end()
  })
  await client.subscribeAsync('open/mqttjs', { qos: 1 })
  await client.publishAsync('open/mqttjs', Buffer.alloc(100_000, 'x'), { qos: 1 })
})
