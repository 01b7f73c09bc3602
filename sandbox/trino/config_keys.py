"""The configuration keys that a Trino 480 server knows, with the type of each value.

Read by the configuration loader, which refuses anything else with the server's own wording. Curated
from the public documentation: a key that is missing here makes the stand-in stricter than the real
server, so add it (one word) rather than loosen the check.
"""

from __future__ import annotations

from collections.abc import Mapping

SIZE, DURATION, INTEGER, DECIMAL, BOOLEAN, TEXT = "size", "duration", "integer", "decimal", "boolean", "text"

_CONFIG = {
    SIZE: """
        aggregation-operator-unspill-memory-limit dynamic-filtering.large-broadcast.max-size-per-driver
        dynamic-filtering.large-partitioned.max-size-per-driver
        dynamic-filtering.small-broadcast.max-size-per-driver
        dynamic-filtering.small-partitioned.max-size-per-driver
        dynamic-filtering.small.max-size-per-driver dynamic-filtering.small.max-size-per-operator
        dynamic-filtering.small.range-row-limit-per-driver exchange.deduplication-buffer-size
        exchange.max-buffer-size exchange.max-response-size
        fault-tolerant-execution-arbitrary-distribution-compute-task-target-size-max
        fault-tolerant-execution-arbitrary-distribution-compute-task-target-size-min
        fault-tolerant-execution-arbitrary-distribution-write-task-target-size-max
        fault-tolerant-execution-arbitrary-distribution-write-task-target-size-min
        fault-tolerant-execution-coordinator-task-memory
        fault-tolerant-execution-hash-distribution-compute-task-target-size
        fault-tolerant-execution-hash-distribution-write-task-target-size
        fault-tolerant-execution-standard-split-size fault-tolerant-execution-task-memory
        http-server.log.max-size http-server.max-request-header-size
        http-server.max-response-header-size join-max-broadcast-table-size log.max-size
        log.max-total-size max-spill-per-node memory.heap-headroom-per-node
        protocol.spooling.encoding.compression.threshold protocol.spooling.initial-segment-size
        protocol.spooling.inlining.max-size protocol.spooling.max-segment-size query-max-spill-per-node
        query.max-memory query.max-memory-per-node query.max-scan-physical-bytes query.max-total-memory
        query.max-write-physical-size sink.max-broadcast-buffer-size sink.max-buffer-size
        task.max-page-partitioning-buffer-size task.max-partial-aggregation-memory
        writer-scaling-min-data-processed
    """,
    DURATION: """
        catalog.prune.update-interval discovery.http-client.idle-timeout
        dynamic-filtering.service-thread-timeout exchange.max-error-duration exchange.min-error-duration
        exchange.page-buffer-client.max-callback-threads-timeout
        failure-detector.expiration-grace-interval failure-detector.heartbeat-interval
        failure-detector.warmup-interval http-server.authentication.jwt.key-refresh-interval
        http-server.authentication.oauth2.challenge-timeout
        http-server.authentication.oauth2.max-clock-skew
        http-server.authentication.oauth2.refresh-tokens.issued-token.timeout
        http-server.http.idle-timeout http-server.https.ssl-context.refresh-time
        http-server.log.max-history-age http-server.threads.max-idle-time iterative-optimizer-timeout
        node-manager.poll-interval node-scheduler.allowed-no-matching-node-period protocol.spooling.ttl
        query-manager.required-workers-max-wait query.client.timeout query.low-memory-killer.delay
        query.max-cpu-time query.max-execution-time query.max-planning-time query.max-queued-time
        query.max-run-time query.min-expire-age query.remote-task.max-error-duration
        query.remote-task.min-error-duration retry-initial-delay retry-max-delay shutdown.grace-period
        task.client.timeout task.info-update-interval task.info.max-age
        task.interrupt-stuck-split-tasks-detection-interval task.interrupt-stuck-split-tasks-timeout
        task.interrupt-stuck-split-tasks-warning-threshold task.status-refresh-max-wait
        web-ui.session-timeout
    """,
    INTEGER: """
        dynamic-filtering.large-broadcast.max-distinct-values-per-driver
        dynamic-filtering.large-partitioned.max-distinct-values-per-driver
        dynamic-filtering.large.max-distinct-values-per-driver dynamic-filtering.service-thread-count
        dynamic-filtering.small-broadcast.max-distinct-values-per-driver
        dynamic-filtering.small-partitioned.max-distinct-values-per-driver
        dynamic-filtering.small.max-distinct-values-per-driver exchange.client-threads
        exchange.concurrent-request-multiplier exchange.page-buffer-client.max-callback-threads
        fault-tolerant-execution-arbitrary-distribution-compute-task-target-size-growth-period
        fault-tolerant-execution-arbitrary-distribution-write-task-target-size-growth-period
        fault-tolerant-execution-max-partition-count fault-tolerant-execution-max-task-split-count
        fault-tolerant-execution-min-partition-count
        fault-tolerant-execution-min-partition-count-for-write fault-tolerant-execution-partition-count
        filter-and-project-min-output-page-row-count http-server.http.acceptor-threads
        http-server.http.port http-server.http.selector-threads http-server.https.port
        http-server.log.max-history http-server.log.queue-size http-server.threads.max
        http-server.threads.min jmx.rmiregistry.port jmx.rmiserver.port log.max-history
        max-tasks-waiting-for-execution-per-query max-tasks-waiting-for-node-per-query
        node-scheduler.max-adjusted-pending-splits-per-task node-scheduler.max-pending-splits-per-task
        node-scheduler.max-splits-per-node node-scheduler.max-unacknowledged-splits-per-task
        node-scheduler.min-candidates node-scheduler.min-pending-splits-per-task
        optimizer.join-partitioned-build-min-row-count optimizer.mark-distinct-strategy-threshold
        optimizer.max-reordered-joins pages-index.eager-compaction-threshold
        protocol.spooling.inlining.max-rows query-manager.required-workers query-retry-attempts
        query.dispatcher-query-pool-size query.executor-pool-size query.hash-partition-count
        query.manager-executor-pool-size query.max-concurrent-queries query.max-hash-partition-count
        query.max-history query.max-length query.max-stage-count
        query.max-state-machine-callback-threads query.max-writer-task-count
        query.min-hash-partition-count query.min-hash-partition-count-for-write
        query.min-schedule-split-batch-size query.remote-task.max-callback-threads
        query.reported-rule-stats-limit query.schedule-split-batch-size
        query.stage-count-warning-threshold re2j.dfa-retries re2j.dfa-states-limit retry-attempts
        spiller-threads task-retry-attempts-per-task task.concurrency task.driver-timeout-threads
        task.http-response-threads task.http-timeout-threads task.initial-splits-per-node
        task.level-time-multiplier task.max-drivers-per-task task.max-worker-threads
        task.max-writer-count task.min-drivers task.min-drivers-per-task task.min-writer-count
        task.notification-threads task.scale-writers.max-writer-count task.task-yield-threads
        task.writer-count
    """,
    DECIMAL: """
        cpu-cost-weight
        fault-tolerant-execution-arbitrary-distribution-compute-task-target-size-growth-factor
        fault-tolerant-execution-arbitrary-distribution-write-task-target-size-growth-factor
        fault-tolerant-execution-task-memory-growth-factor memory-cost-weight network-cost-weight
        optimizer.adaptive-partial-aggregation.unique-rows-ratio-threshold
        optimizer.filter-conjunction-independence-factor optimizer.join-multi-clause-independence-factor
        optimizer.non-estimatable-predicate-approximation-selectivity
        query.remote-task.guaranteed-splits-per-task-ratio retry-delay-scale-factor
        spiller-max-used-space-threshold
    """,
    BOOLEAN: """
        adaptive-partial-aggregation.enabled colocated-joins-enabled coordinator
        deprecated.http-server.authentication.oauth2.groups-field-enabled distributed-sort
        enable-dynamic-filtering enable-large-dynamic-filters exchange.acknowledge-pages
        experimental.thread-per-driver-scheduler-enabled
        fault-tolerant-execution-adaptive-join-reordering-enabled
        fault-tolerant-execution-adaptive-query-planning-enabled
        fault-tolerant-execution-exchange-encryption-enabled
        fault-tolerant-execution-force-preferred-write-partitioning-enabled
        fault-tolerant-execution-runtime-adaptive-partitioning-enabled
        fault-tolerant-execution-small-stage-estimation-enabled
        http-server.authentication.allow-insecure-over-http
        http-server.authentication.insecure.user-mapping.enabled
        http-server.authentication.oauth2.oidc.discovery
        http-server.authentication.oauth2.oidc.use-userinfo-endpoint
        http-server.authentication.oauth2.refresh-tokens http-server.http.enabled
        http-server.http2.enabled http-server.https.enabled http-server.log.compression.enabled
        http-server.log.enabled http-server.process-forwarded incremental-hash-array-load-factor.enabled
        internal-communication.http2.enabled internal-communication.https.required
        iterative-optimizer-enabled legacy.materialized-view-grace-period
        node-scheduler.include-coordinator optimizer.actual-stats-for-fault-tolerant-execution
        optimizer.complex-expression-pushdown.enabled optimizer.default-filter-factor-enabled
        optimizer.dictionary-aggregation optimizer.merge-project-with-values
        optimizer.optimize-hash-generation optimizer.optimize-metadata-queries
        optimizer.optimize-top-n-ranking optimizer.pre-calculate-grouping-expressions
        optimizer.predicate-pushdown-use-table-properties optimizer.push-aggregation-through-outer-join
        optimizer.push-partial-aggregation-through-join optimizer.push-table-write-through-union
        optimizer.skip-redundant-sort optimizer.unwrap-casts optimizer.use-cost-based-partitioning
        optimizer.use-exact-partitioning optimizer.use-mark-distinct
        optimizer.use-table-scan-node-partitioning protocol.spooling.enabled
        protocol.spooling.encoding.json+lz4.enabled protocol.spooling.encoding.json+zstd.enabled
        protocol.spooling.encoding.json.enabled protocol.spooling.inlining.enabled
        query-results.compression-enabled query.remote-task.enable-adaptive-request-size
        redistribute-writes scale-writers spatial-joins-enabled spill-enabled spill-encryption-enabled
        statistics.enabled task.per-operator-cpu-timer-enabled task.scale-writers.enabled
        task.share-index-loading task.statistics-cpu-timer-enabled tracing.enabled
        use-preferred-write-partitioning web-ui.enabled web-ui.preview.enabled
    """,
    TEXT: """
        access-control.config-files catalog.config-dir catalog.disabled-catalogs catalog.management
        catalog.store certificate-authenticator.config-files discovery.uri event-listener.config-files
        exchange.compression-codec fault-tolerant-execution-task-descriptor-storage-max-memory
        group-provider.config-files header-authenticator.config-files
        http-server.authentication.certificate.principal-field
        http-server.authentication.certificate.user-mapping.file
        http-server.authentication.certificate.user-mapping.pattern
        http-server.authentication.header.user-mapping.file
        http-server.authentication.header.user-mapping.pattern
        http-server.authentication.insecure.user-mapping.file
        http-server.authentication.insecure.user-mapping.pattern http-server.authentication.jwt.key-file
        http-server.authentication.jwt.principal-field http-server.authentication.jwt.required-audience
        http-server.authentication.jwt.required-issuer http-server.authentication.jwt.user-mapping.file
        http-server.authentication.jwt.user-mapping.pattern http-server.authentication.krb5.keytab
        http-server.authentication.krb5.name-type http-server.authentication.krb5.principal-hostname
        http-server.authentication.krb5.service-name http-server.authentication.krb5.user-mapping.file
        http-server.authentication.krb5.user-mapping.pattern
        http-server.authentication.oauth2.access-token-issuer
        http-server.authentication.oauth2.additional-audiences
        http-server.authentication.oauth2.auth-url http-server.authentication.oauth2.client-id
        http-server.authentication.oauth2.client-secret
        http-server.authentication.oauth2.end-session-url http-server.authentication.oauth2.groups-field
        http-server.authentication.oauth2.issuer http-server.authentication.oauth2.jwks-url
        http-server.authentication.oauth2.jwt.type http-server.authentication.oauth2.principal-field
        http-server.authentication.oauth2.refresh-tokens.issued-token.audience
        http-server.authentication.oauth2.refresh-tokens.issued-token.issuer
        http-server.authentication.oauth2.refresh-tokens.secret-key
        http-server.authentication.oauth2.scopes http-server.authentication.oauth2.state-key
        http-server.authentication.oauth2.token-url http-server.authentication.oauth2.user-mapping.file
        http-server.authentication.oauth2.user-mapping.pattern
        http-server.authentication.oauth2.userinfo-url
        http-server.authentication.password.user-mapping.file
        http-server.authentication.password.user-mapping.pattern http-server.authentication.type
        http-server.https.automatic-shared-secret http-server.https.excluded-cipher
        http-server.https.included-cipher http-server.https.keymanager.password
        http-server.https.keystore.key http-server.https.keystore.path
        http-server.https.secure-random-algorithm http-server.https.truststore.key
        http-server.https.truststore.path http-server.log.path http.authentication.krb5.config
        internal-communication.address-source internal-communication.https.keystore.key
        internal-communication.https.keystore.path internal-communication.https.truststore.key
        internal-communication.https.truststore.path internal-communication.shared-secret
        join-distribution-type log.annotation-file log.compression log.console-format log.format
        log.levels-file log.path node-scheduler.network-topology.file
        node-scheduler.network-topology.refresh-period node-scheduler.network-topology.segments
        node-scheduler.network-topology.type node-scheduler.optimized-local-scheduling
        node-scheduler.policy node-scheduler.split-batch-strategy node-scheduler.splits-balancing-policy
        optimizer.distinct-aggregations-strategy optimizer.join-reordering-strategy
        optimizer.joins-not-null-inference-strategy optimizer.mark-distinct-strategy
        otel.exporter.endpoint otel.exporter.protocol password-authenticator.config-files plugin.dir
        protocol.spooling.retrieval-mode protocol.spooling.shared-secret-key
        protocol.v1.alternate-header-name protocol.v1.prepared-statement-compression.length-threshold
        protocol.v1.prepared-statement-compression.min-gain query.default-filter-factor
        query.execution-policy query.info-url-template query.low-memory-killer.policy regex-library
        retry-policy secrets-plugins-dir spill-compression-codec spiller-spill-path sql.default-catalog
        sql.default-function-catalog sql.default-function-schema sql.default-schema
        sql.forced-session-time-zone sql.path task.low-memory-killer.policy tracing.exporter.endpoint
        tracing.exporter.protocol web-ui.authentication.type web-ui.oauth2.scopes web-ui.shared-secret
        web-ui.user
    """,
}

_NODE = {
    TEXT: """
        node.environment node.id node.data-dir node.internal-address node.external-address node.location
        node.binary-spec node.config-spec node.annotation-file node.internal-address-source node.pool node.bind-ip
        plugin.dir node.server.log-file catalog.config-dir
    """,
    BOOLEAN: "node.prefer-ipv6-address",
}

# HTTP clients inside the server take the same keys behind a prefix.
_HTTP_CLIENTS = """
    discovery exchange memoryManager node-manager scheduler workerInfo failure-detector announcer
    oauth2-jwk jwk-set event-listener
"""
_HTTP_CLIENT = {
    DURATION: "connect-timeout request-timeout idle-timeout keep-alive-interval destination-idle-timeout",
    SIZE: "max-content-length request-buffer-size response-buffer-size max-request-header-size "
    "max-response-header-size",
    INTEGER: "max-connections max-connections-per-server max-requests-queued-per-destination min-threads max-threads "
    "selector-count max-selector-count timeout-threads timeout-concurrency max-heap-memory",
    BOOLEAN: "https.hostname-verification verify-hostname secure-proxy log.enabled log.compression.enabled "
    "http-compliance http2.enabled use-virtual-threads",
    TEXT: "socks-proxy http-proxy key-store-path key-store-password trust-store-path trust-store-password "
    "https.included-cipher https.excluded-cipher log.path log.max-size log.queue-size "
    "http-proxy.user http-proxy.password",
}

_DEFUNCT = """
    discovery-server.enabled query.max-total-memory-per-node experimental.spill-enabled
    experimental.reserved-pool-enabled query.max-age deprecated.legacy-system-pool-enabled
    resources.reserved-system-memory optimizer.processing-optimization experimental.max-spill-per-node
    experimental.query-max-spill-per-node legacy.allow-set-view-authorization jmx.dump-tables
    parse-decimal-literals-as-double node-scheduler.multiple-tasks-per-node-enabled
"""
DEFUNCT = frozenset(_DEFUNCT.split())


def _flatten(groups: Mapping[str, str], prefix: str = "") -> dict[str, str]:
    return {prefix + key: kind for kind, keys in groups.items() for key in keys.split()}


SERVER_KEYS: dict[str, str] = {
    **_flatten(_CONFIG),
    **{
        key: kind
        for client in _HTTP_CLIENTS.split()
        for key, kind in _flatten(_HTTP_CLIENT, f"{client}.http-client.").items()
    },
}
NODE_KEYS: dict[str, str] = _flatten(_NODE)
