"""The configuration keys of Trino 480, from the annotations of its configuration classes.

Written by tools/trino_config_keys.py; edit that, not this. CURRENT are the keys by the kind of their value, LEGACY
old names that still work, DEFUNCT ones that a server refuses to start with. HTTP_CLIENT are those of the HTTP clients
inside the server, each behind a prefix of its own.
"""

from __future__ import annotations

SIZE, DURATION, INTEGER = "size", "duration", "integer"
DECIMAL, BOOLEAN, TEXT = "decimal", "boolean", "text"

CURRENT = {
    SIZE: """
        aggregation-operator-unspill-memory-limit driver.max-page-partitioning-buffer-size
        dynamic-filtering.max-size-per-driver dynamic-filtering.max-size-per-filter
        dynamic-filtering.max-size-per-operator dynamic-filtering.partitioned.max-size-per-driver
        dynamic-filtering.partitioned.max-size-per-operator event.max-output-stage-size
        exchange.deduplication-buffer-size exchange.max-buffer-size exchange.max-response-size
        fault-tolerant-execution-adaptive-join-reordering-min-size-threshold
        fault-tolerant-execution-arbitrary-distribution-compute-task-target-size-max
        fault-tolerant-execution-arbitrary-distribution-compute-task-target-size-min
        fault-tolerant-execution-arbitrary-distribution-write-task-target-size-max
        fault-tolerant-execution-arbitrary-distribution-write-task-target-size-min
        fault-tolerant-execution-coordinator-task-memory
        fault-tolerant-execution-eager-speculative-tasks-node-memory-overcommit
        fault-tolerant-execution-hash-distribution-compute-task-target-size
        fault-tolerant-execution-hash-distribution-write-task-target-size
        fault-tolerant-execution-runtime-adaptive-partitioning-max-task-size
        fault-tolerant-execution-small-stage-estimation-threshold fault-tolerant-execution-standard-split-size
        fault-tolerant-execution-task-descriptor-storage-high-water-mark
        fault-tolerant-execution-task-descriptor-storage-low-water-mark
        fault-tolerant-execution-task-descriptor-storage-max-memory fault-tolerant-execution-task-memory
        fault-tolerant-execution-task-runtime-memory-estimation-overhead filter-and-project-min-output-page-size
        http-server.http2.input-buffer-size http-server.http2.session-receive-window-size
        http-server.http2.stream-receive-window-size http-server.log.max-size http-server.max-direct-memory
        http-server.max-heap-memory http-server.max-request-header-size http-server.max-response-header-size
        http-server.output-buffer-size join-max-broadcast-table-size log.max-size log.max-total-size
        max-memory-per-partition-writer max-spill-per-node optimizer.min-input-size-per-task
        protocol.spooling.encoding.compression.threshold protocol.spooling.initial-segment-size
        protocol.spooling.inlining.max-size protocol.spooling.max-segment-size query-max-spill-per-node
        query.max-memory query.max-scan-physical-bytes query.max-total-memory query.max-write-physical-size
        query.remote-task.max-request-size query.remote-task.request-size-headroom sink.max-broadcast-buffer-size
        sink.max-buffer-size task.max-index-memory task.max-local-exchange-buffer-size
        task.max-partial-aggregation-memory task.max-partial-top-n-memory writer-scaling-min-data-processed
    """,
    DURATION: """
        catalog.prune.update-interval exchange.max-error-duration failure-detector.expiration-grace-interval
        failure-detector.heartbeat-interval failure-detector.warmup-interval
        http-server.authentication.oauth2.challenge-timeout http-server.authentication.oauth2.max-clock-skew
        http-server.authentication.oauth2.oidc.discovery.timeout
        http-server.authentication.oauth2.refresh-tokens.issued-token.timeout http-server.http2.stream-idle-timeout
        http-server.https.ssl-context.refresh-time http-server.https.ssl-session-timeout
        http-server.net.max-idle-time http-server.stop-timeout http-server.threads.max-idle-time
        iterative-optimizer-timeout node-scheduler.allowed-no-matching-node-period
        node-scheduler.exhausted-node-wait-period node-scheduler.network-topology.refresh-period
        otel.exporter.interval query-manager.required-workers-max-wait query.client.timeout query.max-cpu-time
        query.max-execution-time query.max-planning-time query.max-run-time query.min-expire-age
        query.remote-task.max-error-duration retry-initial-delay retry-max-delay service-inventory.update-interval
        shutdown.grace-period task.client.timeout task.info-update-interval task.info.max-age
        task.interrupt-stuck-split-tasks-detection-interval task.interrupt-stuck-split-tasks-timeout
        task.interrupt-stuck-split-tasks-warning-threshold task.split-concurrency-adjustment-interval
        task.status-refresh-max-wait task.termination-timeout transaction.idle-check-interval
        transaction.idle-timeout web-ui.session-timeout
    """,
    INTEGER: """
        analyzer.max-grouping-sets compiler.expression-cache-size driver.page-partitioning-buffer-pool-size
        dynamic-filtering.max-distinct-values-per-driver
        dynamic-filtering.partitioned.max-distinct-values-per-driver
        dynamic-filtering.partitioned.range-row-limit-per-driver dynamic-filtering.range-row-limit-per-driver
        exchange.concurrent-request-multiplier
        fault-tolerant-execution-arbitrary-distribution-compute-task-target-size-growth-period
        fault-tolerant-execution-arbitrary-distribution-write-task-target-size-growth-period
        fault-tolerant-execution-hash-distribution-write-task-target-max-count
        fault-tolerant-execution-max-partition-count fault-tolerant-execution-max-task-split-count
        fault-tolerant-execution-min-partition-count fault-tolerant-execution-min-partition-count-for-write
        fault-tolerant-execution-runtime-adaptive-partitioning-partition-count
        filter-and-project-min-output-page-row-count http-server.accept-queue-size http-server.http.acceptor-threads
        http-server.http.port http-server.http.selector-threads http-server.http2.max-concurrent-streams
        http-server.https.acceptor-threads http-server.https.port http-server.https.selector-threads
        http-server.https.ssl-session-cache-size http-server.log.max-history http-server.log.queue-size
        http-server.threads.max http-server.threads.min jmx.rmiregistry.port jmx.rmiserver.port max-recursion-depth
        max-tasks-waiting-for-execution-per-query max-tasks-waiting-for-node-per-query
        node-scheduler.max-adjusted-pending-splits-per-task node-scheduler.max-splits-per-node
        node-scheduler.max-unacknowledged-splits-per-task node-scheduler.min-candidates
        node-scheduler.min-pending-splits-per-task optimizer.experimental-max-prefetched-information-schema-prefixes
        optimizer.join-partitioned-build-min-row-count optimizer.max-reordered-joins
        optimizer.min-input-rows-per-task optimizer.push-filter-into-values-max-row-count
        protocol.spooling.inlining.max-rows protocol.v1.prepared-statement-compression.length-threshold
        protocol.v1.prepared-statement-compression.min-gain query-manager.required-workers query-retry-attempts
        query.max-concurrent-queries query.max-hash-partition-count query.max-history query.max-length
        query.max-queued-queries query.max-stage-count query.max-writer-task-count query.min-hash-partition-count
        query.min-hash-partition-count-for-write query.min-schedule-split-batch-size
        query.remote-task.guaranteed-splits-per-task query.reported-rule-stats-limit query.schedule-split-batch-size
        query.stage-count-warning-threshold re2j.dfa-retries re2j.dfa-states-limit task-retry-attempts-per-task
        task.concurrency task.initial-splits-per-node task.max-drivers-per-task task.max-writer-count
        task.min-drivers task.min-drivers-per-task task.min-writer-count transaction.max-finishing-concurrency
        warning-collector.max-warnings
    """,
    DECIMAL: """
        adaptive-partial-aggregation.unique-rows-ratio-threshold cpu-cost-weight
        dynamic-row-filtering.selectivity-threshold failure-detector.threshold
        fault-tolerant-execution-adaptive-join-reordering-size-difference-ratio
        fault-tolerant-execution-arbitrary-distribution-compute-task-target-size-growth-factor
        fault-tolerant-execution-arbitrary-distribution-write-task-target-size-growth-factor
        fault-tolerant-execution-hash-distribution-compute-task-to-node-min-ratio
        fault-tolerant-execution-hash-distribution-write-task-to-node-min-ratio
        fault-tolerant-execution-min-source-stage-progress
        fault-tolerant-execution-small-stage-source-size-multiplier
        fault-tolerant-execution-task-memory-estimation-quantile fault-tolerant-execution-task-memory-growth-factor
        memory-cost-weight memory-revoking-target memory-revoking-threshold network-cost-weight
        optimizer.filter-conjunction-independence-factor optimizer.join-multi-clause-independence-factor
        optimizer.table-scan-node-partitioning-min-bucket-to-task-ratio otel.tracing.sampling-ratio
        retry-delay-scale-factor spiller-max-used-space-threshold task.level-time-multiplier
        task.scale-writers.max-writer-memory-percentage
    """,
    BOOLEAN: """
        adaptive-partial-aggregation.enabled bootstrap.quiet catalog.prune.enabled catalog.read-only
        collect-plan-statistics-for-all-queries colocated-joins-enabled compiler.specialized-aggregation-loops
        coordinator deprecated.legacy-arithmetic-decimal-operators deprecated.legacy-catalog-roles
        discovery-server.enabled distributed-sort enable-dynamic-filtering enable-dynamic-row-filtering
        enable-forced-exchange-below-group-id enable-stats-calculator exchange.acknowledge-pages
        exchange.experimental.vectorized-serde.enabled experimental.columnar-filter-evaluation.enabled
        experimental.concurrent-startup experimental.thread-per-driver-scheduler-enabled
        external-exchange-encryption-enabled failure-detector.enabled
        fault-tolerant-execution-adaptive-join-reordering-enabled
        fault-tolerant-execution-adaptive-query-planning-enabled
        fault-tolerant-execution-memory-requirement-increase-on-worker-crash-enabled
        fault-tolerant-execution-runtime-adaptive-partitioning-enabled
        fault-tolerant-execution-small-stage-estimation-enabled
        fault-tolerant-execution-small-stage-require-no-more-partitions
        fault-tolerant-execution-stage-estimation-for-eager-parent-enabled force-spilling-join-operator
        hide-inaccessible-columns http-server.authentication.allow-insecure-over-http
        http-server.authentication.oauth2.oidc.discovery
        http-server.authentication.oauth2.oidc.use-userinfo-endpoint
        http-server.authentication.oauth2.refresh-tokens http-server.compression.enabled http-server.http.enabled
        http-server.https.enabled http-server.log.compression.enabled http-server.log.enabled
        http-server.log.immediate-flush http-server.notify-remote-async-errors http-server.show-stack-trace
        http-server.track-memory-allocations http.include-exception-in-response
        incremental-hash-array-load-factor.enabled internal-communication.http2.enabled
        internal-communication.https.required log.enable-console management.user.https-enabled
        node-scheduler.include-coordinator node-scheduler.optimized-local-scheduling node.prefer-ipv6-address
        optimizer.allow-unsafe-pushdown optimizer.complex-expression-pushdown.enabled
        optimizer.default-filter-factor-enabled optimizer.dictionary-aggregation
        optimizer.enable-intermediate-aggregations optimizer.force-single-node-output
        optimizer.ignore-downstream-preferences optimizer.ignore-stats-calculator-failures
        optimizer.merge-project-with-values optimizer.non-estimatable-predicate-approximation.enabled
        optimizer.optimize-duplicate-insensitive-joins optimizer.optimize-metadata-queries
        optimizer.optimize-top-n-ranking optimizer.pre-aggregate-case-aggregations.enabled
        optimizer.predicate-pushdown-use-table-properties optimizer.prefer-partial-aggregation
        optimizer.push-aggregation-through-outer-join optimizer.push-partial-aggregation-through-join
        optimizer.push-table-write-through-union optimizer.rewrite-filtering-semi-join-to-inner-join
        optimizer.skip-redundant-sort optimizer.use-cost-based-partitioning optimizer.use-exact-partitioning
        optimizer.use-legacy-window-filter-pushdown optimizer.use-table-scan-node-partitioning
        pages-index.eager-compaction-enabled protocol.spooling.enabled protocol.spooling.encoding.json+lz4.enabled
        protocol.spooling.encoding.json+zstd.enabled protocol.spooling.encoding.json.enabled
        protocol.spooling.inlining.enabled protocol.spooling.unsupported-warning.enabled
        query-results.compression-enabled query.determine-partition-count-for-write-enabled
        query.remote-task.enable-adaptive-request-size redistribute-writes scale-writers
        source-pages-validation-enabled spatial-joins-enabled spill-enabled spill-encryption-enabled
        statistics-precalculation-for-pushdown.enabled task.cpu-timer-enabled
        task.interrupt-stuck-split-tasks-enabled task.per-operator-cpu-timer-enabled task.scale-writers.enabled
        task.share-index-loading tracing.enabled use-preferred-write-partitioning web-ui.enabled
        web-ui.preview.enabled
    """,
    TEXT: """
        access-control.config-files catalog.config-dir catalog.disabled-catalogs catalog.management catalog.store
        cluster.hosts deprecated.regex-library discovery.type discovery.uri event-listener.config-files
        exchange-manager.config-file exchange.client-threads exchange.compression-codec
        exchange.data-integrity-verification exchange.page-buffer-client.max-callback-threads
        header-authenticator.config-files http-server.authentication.certificate.user-mapping.file
        http-server.authentication.certificate.user-mapping.pattern
        http-server.authentication.header.user-mapping.file http-server.authentication.header.user-mapping.pattern
        http-server.authentication.insecure.user-mapping.file
        http-server.authentication.insecure.user-mapping.pattern http-server.authentication.jwt.key-file
        http-server.authentication.jwt.principal-field http-server.authentication.jwt.required-audience
        http-server.authentication.jwt.required-issuer http-server.authentication.jwt.user-mapping.file
        http-server.authentication.jwt.user-mapping.pattern http-server.authentication.krb5.keytab
        http-server.authentication.krb5.name-type http-server.authentication.krb5.principal-hostname
        http-server.authentication.krb5.service-name http-server.authentication.krb5.user-mapping.file
        http-server.authentication.krb5.user-mapping.pattern http-server.authentication.oauth2.access-token-issuer
        http-server.authentication.oauth2.additional-audiences http-server.authentication.oauth2.auth-url
        http-server.authentication.oauth2.client-id http-server.authentication.oauth2.client-secret
        http-server.authentication.oauth2.end-session-url http-server.authentication.oauth2.issuer
        http-server.authentication.oauth2.jwks-url http-server.authentication.oauth2.jwt-type
        http-server.authentication.oauth2.principal-field
        http-server.authentication.oauth2.refresh-tokens.issued-token.audience
        http-server.authentication.oauth2.refresh-tokens.issued-token.issuer
        http-server.authentication.oauth2.refresh-tokens.secret-key http-server.authentication.oauth2.scopes
        http-server.authentication.oauth2.state-key http-server.authentication.oauth2.token-url
        http-server.authentication.oauth2.user-mapping.file http-server.authentication.oauth2.user-mapping.pattern
        http-server.authentication.oauth2.userinfo-url http-server.authentication.password.user-mapping.file
        http-server.authentication.password.user-mapping.pattern http-server.authentication.type
        http-server.https.automatic-shared-secret http-server.https.excluded-cipher
        http-server.https.included-cipher http-server.https.keymanager.password http-server.https.keystore.key
        http-server.https.keystore.path http-server.https.secure-random-algorithm http-server.https.truststore.key
        http-server.https.truststore.path http-server.log.path http-server.process-forwarded
        http.authentication.krb5.config internal-communication.https.keystore.key
        internal-communication.https.keystore.path internal-communication.https.truststore.key
        internal-communication.https.truststore.path internal-communication.shared-secret jmx.base-name
        join-distribution-type log.compression log.console-format log.format log.levels-file log.path
        management.user memory.heap-headroom-per-node node-scheduler.network-topology.file
        node-scheduler.network-topology.segments node-scheduler.network-topology.subnet.cidr-prefix-lengths
        node-scheduler.network-topology.subnet.ip-address-protocol node-scheduler.network-topology.type
        node-scheduler.policy node-scheduler.splits-balancing-policy node.annotation-file node.annotations
        node.binary-spec node.bind-ip node.config-spec node.environment node.external-address node.id
        node.internal-address node.internal-address-source node.location node.pool openmetrics.jmx-object-names
        optimizer.distinct-aggregations-strategy optimizer.join-reordering-strategy otel.exporter.endpoint
        otel.exporter.protocol password-authenticator.config-files plugin.dir protocol.spooling.retrieval-mode
        protocol.spooling.shared-secret-key protocol.v1.alternate-header-name query.dispatcher-query-pool-size
        query.execution-policy query.executor-pool-size query.info-url-template query.low-memory-killer.policy
        query.manager-executor-pool-size query.max-memory-per-node query.max-split-manager-callback-threads
        query.max-state-machine-callback-threads query.remote-task.max-callback-threads retry-policy
        retry-policy.allowed secrets-plugins-dir service-inventory.uri spill-compression-codec spiller-spill-path
        spiller-threads sql.default-catalog sql.default-function-catalog sql.default-function-schema
        sql.default-schema sql.forced-session-time-zone sql.path task.driver-timeout-threads
        task.http-response-threads task.http-timeout-threads task.low-memory-killer.policy task.max-worker-threads
        task.task-notification-threads task.task-yield-threads web-ui.authentication.type web-ui.shared-secret
        web-ui.user
    """,
}

LEGACY = {
    SIZE: """
        dynamic-filtering.large-partitioned.max-size-per-driver
        dynamic-filtering.large-partitioned.max-size-per-operator dynamic-filtering.large.max-size-per-driver
        dynamic-filtering.large.max-size-per-filter dynamic-filtering.large.max-size-per-operator
        experimental.max-spill-per-node experimental.query-max-spill-per-node
        fault-tolerant-execution-eager-speculative-tasks-node_memory-overcommit
        protocol.spooling.maximum-segment-size writer-min-size
    """,
    DURATION: """
        experimental.iterative-optimizer-timeout
    """,
    INTEGER: """
        dynamic-filtering.large-partitioned.max-distinct-values-per-driver
        dynamic-filtering.large-partitioned.range-row-limit-per-driver
        dynamic-filtering.large.max-distinct-values-per-driver dynamic-filtering.large.range-row-limit-per-driver
        fault-tolerant-execution-partition-count max-tasks-waiting-for-node-per-stage
        node-scheduler.max-pending-splits-per-node-per-stage node-scheduler.max-pending-splits-per-node-per-task
        node-scheduler.max-pending-splits-per-task query.hash-partition-count task.partitioned-writer-count
        task.scale-writers.max-writer-count
    """,
    DECIMAL: """
        tracing.sampling-ratio
    """,
    BOOLEAN: """
        exchange.compression-enabled experimental.enable-stats-calculator experimental.spill-encryption-enabled
        fault-tolerant-execution-exchange-encryption-enabled fault-tolerant-execution.exchange-encryption-enabled
        fault-tolerant-execution.memory-requirement-increase-on-worker-crash-enabled
        optimizer.optimize-top-n-row-number optimizer.plan-with-table-node-partitioning
        optimizer.push-aggregation-through-join spill-compression-enabled
    """,
    TEXT: """
        http-server.authentication.oauth2.audience http.authentication.jwt.key-file
        http.authentication.jwt.required-audience http.authentication.jwt.required-issuer
        http.server.authentication.krb5.keytab http.server.authentication.krb5.name-type
        http.server.authentication.krb5.principal-hostname http.server.authentication.krb5.service-name
        log.annotation-file log.output-file node-scheduler.network-topology node.ip optimizer.mark-distinct-strategy
        plugin.config-dir regex-library tracing.exporter.endpoint tracing.exporter.protocol
    """,
}

HTTP_CLIENT = {
    SIZE: """
        http2.input-buffer-size http2.session-receive-window-size http2.stream-receive-window-size log.buffer-size
        log.max-size max-content-length max-direct-memory max-heap-memory max-request-header-size
        max-response-content-length max-response-header-size request-buffer-size response-buffer-size
    """,
    DURATION: """
        connect-timeout destination-idle-timeout idle-timeout log.flush-interval read-timeout request-timeout
        tcp-keep-alive-idle-time
    """,
    INTEGER: """
        log.max-history log.queue-size max-connections-per-server max-requests-queued-per-destination max-threads
        min-threads selector-count timeout-concurrency timeout-threads
    """,
    BOOLEAN: """
        http-proxy.secure http2.enabled https.hostname-verification log.compression.enabled log.enabled
        record-request-complete strict-event-ordering track-memory-allocations use-blocking-connect
        use-virtual-threads
    """,
    TEXT: """
        http-proxy http-proxy.password http-proxy.user https.automatic-shared-secret https.excluded-cipher
        https.included-cipher key-store-password key-store-path log.path secure-random-algorithm socks-proxy
        trust-store-password trust-store-path
    """,
}

DEFUNCT = """
        adaptive-partial-aggregation.min-rows analyzer.experimental-syntax-enabled arrayagg.implementation
        compiler.interpreter-enabled deprecated.disable-set-properties-security-check-for-create-ddl
        deprecated.group-by-uses-equal deprecated.legacy-char-to-varchar-coercion deprecated.legacy-join-using
        deprecated.legacy-map-subscript deprecated.legacy-order-by deprecated.legacy-row-field-ordinal-access
        deprecated.legacy-row-to-json-cast deprecated.legacy-system-pool-enabled deprecated.legacy-timestamp
        deprecated.legacy-unnest-array-rows deprecated.legacy-update-delete-implementation
        deprecated.omit-datetime-type-precision dispatcher.forwarded-header
        dynamic-filtering-max-per-driver-row-count dynamic-filtering-max-per-driver-size
        dynamic-filtering-range-row-limit-per-driver
        dynamic-filtering.large-broadcast.max-distinct-values-per-driver
        dynamic-filtering.large-broadcast.max-size-per-driver
        dynamic-filtering.large-broadcast.max-size-per-operator
        dynamic-filtering.large-broadcast.range-row-limit-per-driver dynamic-filtering.service-thread-count
        dynamic-filtering.small-broadcast.max-distinct-values-per-driver
        dynamic-filtering.small-broadcast.max-size-per-driver
        dynamic-filtering.small-broadcast.max-size-per-operator
        dynamic-filtering.small-broadcast.range-row-limit-per-driver
        dynamic-filtering.small-partitioned.max-distinct-values-per-driver
        dynamic-filtering.small-partitioned.max-size-per-driver
        dynamic-filtering.small-partitioned.max-size-per-operator
        dynamic-filtering.small-partitioned.range-row-limit-per-driver
        dynamic-filtering.small.max-distinct-values-per-driver dynamic-filtering.small.max-size-per-driver
        dynamic-filtering.small.max-size-per-filter dynamic-filtering.small.max-size-per-operator
        dynamic-filtering.small.range-row-limit-per-driver enable-coordinator-dynamic-filters-distribution
        enable-large-dynamic-filters exchange.min-error-duration experimental-syntax-enabled
        experimental.aggregation-operator-unspill-memory-limit experimental.big-query-initial-hash-partitions
        experimental.big-query-max-task-memory experimental.cluster-memory-manager-enabled
        experimental.dynamic-filtering-max-per-driver-row-count experimental.dynamic-filtering-max-per-driver-size
        experimental.dynamic-filtering-refresh-interval experimental.enable-dynamic-filtering
        experimental.fault-tolerant-execution-force-preferred-write-partitioning-enabled
        experimental.filter-and-project-min-output-page-row-count
        experimental.filter-and-project-min-output-page-size experimental.late-materialization.enabled
        experimental.max-concurrent-big-queries experimental.max-queued-big-queries
        experimental.memory-revoking-target experimental.memory-revoking-threshold
        experimental.reserved-pool-disabled experimental.reserved-pool-enabled experimental.resource-groups-enabled
        experimental.spill-compression-enabled experimental.spill-enabled experimental.spill-order-by
        experimental.spill-window-operator experimental.spiller-max-used-space-threshold
        experimental.spiller-spill-path experimental.spiller-threads fast-inequality-joins
        fault-tolerant-execution-target-task-input-size fault-tolerant-execution-target-task-split-count
        histogram.implementation http-server.admin.enabled http-server.admin.port http-server.admin.threads.max
        http-server.admin.threads.min http-server.auth.users-file http-server.authentication.allow-forwarded-https
        http-server.buffer-pool-type http-server.https.keystore.password http-server.ip
        http-server.log.retention-time http.server.authentication.enabled internal-communication.jwt.enabled
        internal-communication.kerberos.enabled internal-communication.kerberos.use-canonical-hostname
        jetty.auth.users-file jetty.http.enabled jetty.http.port jetty.https.enabled jetty.https.keystore.password
        jetty.https.keystore.path jetty.https.port jetty.ip jetty.log.path jetty.log.retain-days
        jetty.net.max-idle-time-ms jetty.threads.max jetty.threads.max-idle-time-ms jetty.threads.min
        jmx.rmiserver.hostname legacy.allow-set-view-authorization legacy.materialized-view-grace-period
        log.legacy-implementation.enabled log.max-history log.max-size-in-bytes multimapagg.implementation
        node-scheduler.allocator-type node-scheduler.location-aware-scheduling-enabled
        node-scheduler.max-absolute-full-nodes-per-query node-scheduler.max-fraction-full-nodes-per-query
        node-scheduler.multiple-tasks-per-node-enabled optimizer.iterative-rule-based-column-pruning
        optimizer.optimize-hash-generation optimizer.optimize-mixed-distinct-aggregations
        optimizer.processing-optimization optimizer.use-mark-distinct parse-decimal-literals-as-double
        preferred-write-partitioning-min-number-of-partitions query-manager.initialization-required-workers
        query-manager.initialization-timeout query.initial-hash-partitions query.low-memory-killer.delay
        query.low-memory-killer.enabled query.max-age query.max-memory-per-task query.max-pending-splits-per-node
        query.max-total-memory-per-node query.queue-config-file query.remote-task.max-consecutive-error-count
        query.remote-task.min-error-duration resource-group-manager resources.reserved-system-memory retry-attempts
        sink.new-implementation spill-order-by spill-window-operator task.http-notification-threads
        task.info-refresh-max-wait task.legacy-scheduling-behavior task.level-absolute-priority task.max-memory
        task.operator-pre-allocated-memory task.shard.max-threads task.statistics-cpu-timer-enabled
        task.verbose-stats
    """
