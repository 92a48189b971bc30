#!/usr/bin/env bash
# debezium.sh fetch [chain] | run [chain]: Debezium's outbox event router on a Kafka Connect worker, beside which cdc-capture is
# measured; with its JDBC sink on the same worker, a chain from an outbox to a table.
#   fetch  gets the jars from Maven into target/debezium, once
#   run    becomes the worker (exec); the bench sets WORK, DATABASE_{PORT,USER,PASSWORD,NAME}, SLOT, PUBLICATION,
#          KAFKA_BOOTSTRAP_SERVERS and TOPIC_PREFIX, for a chain SINK_DATABASE_NAME and SINK_TABLE, too. In WORK lie the worker's
#          offsets: another run goes on from there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=$here/../../target/debezium
what=${2:-relay}

jars() { # PART of the worker, by its folder
  mvn -q -B -f "$here/debezium-${1##*/}.xml" dependency:copy-dependencies -DoutputDirectory="$home/$1" \
    -DincludeScope=runtime >&2
}

fetch() {
  mkdir -p "$home"
  if [ ! -e "$home/fetched" ]; then
    jars worker
    jars plugins/postgres
    touch "$home/fetched"
  fi
  if [ "$what" = chain ] && [ ! -e "$home/fetched-chain" ]; then
    jars plugins/jdbc
    # The worker has its own.
    rm -f "$home"/plugins/jdbc/{jackson-*,kafka-clients*,connect-api*,slf4j*,zstd*,snappy*,lz4*}.jar
    touch "$home/fetched-chain"
  fi
}

source_connector() {
  cat <<END
name=outbox
connector.class=io.debezium.connector.postgresql.PostgresConnector
tasks.max=1
database.hostname=127.0.0.1
database.port=$DATABASE_PORT
database.user=$DATABASE_USER
database.password=$DATABASE_PASSWORD
database.dbname=$DATABASE_NAME
topic.prefix=bench
plugin.name=pgoutput
slot.name=$SLOT
publication.name=$PUBLICATION
publication.autocreate.mode=disabled
table.include.list=public.outbox
snapshot.mode=no_data
max.batch.size=8192
max.queue.size=32768
poll.interval.ms=5
transforms=outbox
transforms.outbox.type=io.debezium.transforms.outbox.EventRouter
transforms.outbox.table.expand.json.payload=$([ "$what" = chain ] && echo true || echo false)
transforms.outbox.table.fields.additional.placement=type:header:eventType
transforms.outbox.route.topic.replacement=$TOPIC_PREFIX\${routedByValue}
producer.override.linger.ms=5
END
}

sink_connector() {
  cat <<END
name=view
connector.class=io.debezium.connector.jdbc.JdbcSinkConnector
tasks.max=1
topics=${TOPIC_PREFIX}booking
connection.url=jdbc:postgresql://127.0.0.1:$DATABASE_PORT/$SINK_DATABASE_NAME
connection.username=$DATABASE_USER
connection.password=$DATABASE_PASSWORD
insert.mode=upsert
primary.key.mode=record_value
primary.key.fields=bookingId
collection.name.format=$SINK_TABLE
schema.evolution=basic
batch.size=2000
use.reduction.buffer=true
consumer.override.max.poll.records=2000
END
}

run() {
  local converter=org.apache.kafka.connect.storage.StringConverter connectors=("$WORK/outbox.properties")
  # The sink makes its table by the schema that comes with each message.
  [ "$what" != chain ] || converter=org.apache.kafka.connect.json.JsonConverter
  cat >"$WORK/worker.properties" <<END
bootstrap.servers=$KAFKA_BOOTSTRAP_SERVERS
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=$converter
offset.storage.file.filename=$WORK/offsets
offset.flush.interval.ms=1000
plugin.path=$home/plugins
listeners=HTTP://127.0.0.1:0
END
  source_connector >"$WORK/outbox.properties"
  if [ "$what" = chain ]; then
    sink_connector >"$WORK/view.properties"
    connectors+=("$WORK/view.properties")
  fi
  exec java -Xmx1g -cp "$home/worker/*" org.apache.kafka.connect.cli.ConnectStandalone \
    "$WORK/worker.properties" "${connectors[@]}"
}

case ${1:-} in fetch | run) "$1" ;; *) echo "usage: debezium.sh fetch | run [chain]" >&2; exit 2 ;; esac
