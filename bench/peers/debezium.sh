#!/usr/bin/env bash
# debezium.sh fetch | run: Debezium's outbox event router on a Kafka Connect worker, beside which cdc-capture is measured.
#   fetch  gets the jars from Maven into target/debezium, once
#   run    becomes the worker (exec); the bench sets WORK, DATABASE_{PORT,USER,PASSWORD,NAME}, SLOT, PUBLICATION,
#          KAFKA_BOOTSTRAP_SERVERS and TOPIC_PREFIX. In WORK lie the worker's offsets: another run goes on from there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=$here/../../target/debezium

fetch() {
  [ ! -e "$home/fetched" ] || return 0
  mkdir -p "$home"
  local part
  for part in worker plugins/postgres; do
    mvn -q -B -f "$here/debezium-${part##*/}.xml" dependency:copy-dependencies -DoutputDirectory="$home/$part" \
      -DincludeScope=runtime >&2
  done
  touch "$home/fetched"
}

run() {
  cat >"$WORK/worker.properties" <<END
bootstrap.servers=$KAFKA_BOOTSTRAP_SERVERS
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
offset.storage.file.filename=$WORK/offsets
offset.flush.interval.ms=1000
plugin.path=$home/plugins
listeners=HTTP://127.0.0.1:0
END
  cat >"$WORK/outbox.properties" <<END
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
transforms.outbox.table.expand.json.payload=false
transforms.outbox.table.fields.additional.placement=type:header:eventType
transforms.outbox.route.topic.replacement=$TOPIC_PREFIX\${routedByValue}
producer.override.linger.ms=5
END
  exec java -Xmx1g -cp "$home/worker/*" org.apache.kafka.connect.cli.ConnectStandalone \
    "$WORK/worker.properties" "$WORK/outbox.properties"
}

case ${1:-} in fetch | run) "$1" ;; *) echo "usage: debezium.sh fetch | run" >&2; exit 2 ;; esac
