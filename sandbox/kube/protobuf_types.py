"""Field numbers of the Kubernetes messages that kubectl and client-go send as protobuf.

One message per entry: `Name number:field:type ...`, a line that starts with a space continues the one before. Types are
`s` string, `b` bool, `i` integer, `B` bytes, another message's name, `[T]` repeated, `{T}` map from string to T,
`-` read past on purpose. `i*` and `b*` are pointers in Go: a zero there was set by somebody and is kept. `~field` is
inlined in JSON. Only `protobuf` reads this; what Pods can say is cut to what `kubectl create` can.
"""

from typing import Final

# The apiVersion and kind of each body that is understood, by message.
KINDS: Final = {
    "v1": "ConfigMap Namespace Secret ServiceAccount Service ResourceQuota Event DeleteOptions",
    "meta.k8s.io/v1": "DeleteOptions",
    "authentication.k8s.io/v1": "TokenRequest TokenReview SelfSubjectReview",
    "authorization.k8s.io/v1": "SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview "
    "LocalSubjectAccessReview",
    "autoscaling/v1": "Scale",
    "autoscaling/v2": "HorizontalPodAutoscaler",
    "coordination.k8s.io/v1": "Lease",
    "policy/v1": "Eviction PodDisruptionBudget",
    "rbac.authorization.k8s.io/v1": "Role ClusterRole RoleBinding ClusterRoleBinding",
    "apps/v1": "Deployment",
    "batch/v1": "Job CronJob",
    "networking.k8s.io/v1": "Ingress",
    "scheduling.k8s.io/v1": "PriorityClass",
}

MESSAGES: Final = """
ObjectMeta 1:name:s 2:generateName:s 3:namespace:s 4:selfLink:s 5:uid:s 6:resourceVersion:s 7:generation:i
 8:creationTimestamp:Time 9:deletionTimestamp:Time 10:deletionGracePeriodSeconds:i* 11:labels:{s} 12:annotations:{s}
 13:ownerReferences:[OwnerReference] 14:finalizers:[s] 17:managedFields:[ManagedFieldsEntry]
OwnerReference 1:kind:s 3:name:s 4:uid:s 5:apiVersion:s 6:controller:b* 7:blockOwnerDeletion:b*
ManagedFieldsEntry 1:manager:s 2:operation:s 3:apiVersion:s 4:time:Time 6:fieldsType:s 7:fieldsV1:FieldsV1
 8:subresource:s
DeleteOptions 1:gracePeriodSeconds:i* 2:preconditions:Preconditions 3:orphanDependents:b* 4:propagationPolicy:s
 5:dryRun:[s] 6:ignoreStoreReadErrorWithClusterBreakingPotential:b*
Preconditions 1:uid:s 2:resourceVersion:s
ConfigMap 1:metadata:ObjectMeta 2:data:{s} 3:binaryData:{B} 4:immutable:b*
Namespace 1:metadata:ObjectMeta 2:spec:NamespaceSpec 3:status:-
NamespaceSpec 1:finalizers:[s]
Secret 1:metadata:ObjectMeta 2:data:{B} 3:type:s 4:stringData:{s} 5:immutable:b*
ServiceAccount 1:metadata:ObjectMeta 2:secrets:[ObjectReference] 3:imagePullSecrets:[LocalObjectReference]
 4:automountServiceAccountToken:b*
ObjectReference 1:kind:s 2:namespace:s 3:name:s 4:uid:s 5:apiVersion:s 6:resourceVersion:s 7:fieldPath:s
LocalObjectReference 1:name:s
Service 1:metadata:ObjectMeta 2:spec:ServiceSpec 3:status:-
ServiceSpec 1:ports:[ServicePort] 2:selector:{s} 3:clusterIP:s 4:type:s 5:externalIPs:[s] 7:sessionAffinity:s
 8:loadBalancerIP:s 9:loadBalancerSourceRanges:[s] 10:externalName:s 11:externalTrafficPolicy:s
 12:healthCheckNodePort:i 13:publishNotReadyAddresses:b 17:ipFamilyPolicy:s 18:clusterIPs:[s] 19:ipFamilies:[s]
 20:allocateLoadBalancerNodePorts:b* 21:loadBalancerClass:s 22:internalTrafficPolicy:s 23:trafficDistribution:s
ServicePort 1:name:s 2:protocol:s 3:port:i 4:targetPort:IntOrString 5:nodePort:i 6:appProtocol:s
ResourceQuota 1:metadata:ObjectMeta 2:spec:ResourceQuotaSpec 3:status:-
ResourceQuotaSpec 1:hard:{Quantity} 2:scopes:[s]
Event 1:metadata:ObjectMeta 2:involvedObject:ObjectReference 3:reason:s 4:message:s 5:source:EventSource
 6:firstTimestamp:Time 7:lastTimestamp:Time 8:count:i 9:type:s 10:eventTime:MicroTime 11:series:EventSeries
 12:action:s 13:related:ObjectReference 14:reportingComponent:s 15:reportingInstance:s
EventSource 1:component:s 2:host:s
EventSeries 1:count:i 2:lastObservedTime:MicroTime
TokenRequest 1:metadata:ObjectMeta 2:spec:TokenRequestSpec 3:status:-
TokenRequestSpec 1:audiences:[s] 3:boundObjectRef:BoundObjectReference 4:expirationSeconds:i*
BoundObjectReference 1:kind:s 2:apiVersion:s 3:name:s 4:uid:s
TokenReview 1:metadata:ObjectMeta 2:spec:TokenReviewSpec 3:status:-
TokenReviewSpec 1:token:s 2:audiences:[s]
SelfSubjectReview 1:metadata:ObjectMeta 2:status:-
SelfSubjectAccessReview 1:metadata:ObjectMeta 2:spec:SelfSubjectAccessReviewSpec 3:status:-
SelfSubjectAccessReviewSpec 1:resourceAttributes:ResourceAttributes 2:nonResourceAttributes:NonResourceAttributes
ResourceAttributes 1:namespace:s 2:verb:s 3:group:s 4:version:s 5:resource:s 6:subresource:s 7:name:s
 8:fieldSelector:FieldSelectorAttributes 9:labelSelector:LabelSelectorAttributes
FieldSelectorAttributes 1:rawSelector:s 2:requirements:[FieldSelectorRequirement]
FieldSelectorRequirement 1:key:s 2:operator:s 3:values:[s]
LabelSelectorAttributes 1:rawSelector:s 2:requirements:[LabelSelectorRequirement]
LabelSelectorRequirement 1:key:s 2:operator:s 3:values:[s]
NonResourceAttributes 1:path:s 2:verb:s
SelfSubjectRulesReview 1:metadata:ObjectMeta 2:spec:SelfSubjectRulesReviewSpec 3:status:-
SelfSubjectRulesReviewSpec 1:namespace:s
SubjectAccessReview 1:metadata:ObjectMeta 2:spec:SubjectAccessReviewSpec 3:status:-
SubjectAccessReviewSpec 1:resourceAttributes:ResourceAttributes 2:nonResourceAttributes:NonResourceAttributes
 3:user:s 4:groups:[s] 5:extra:{ExtraValue} 6:uid:s
LocalSubjectAccessReview 1:metadata:ObjectMeta 2:spec:SubjectAccessReviewSpec 3:status:-
Scale 1:metadata:ObjectMeta 2:spec:ScaleSpec 3:status:-
ScaleSpec 1:replicas:i*
Lease 1:metadata:ObjectMeta 2:spec:LeaseSpec
LeaseSpec 1:holderIdentity:s 2:leaseDurationSeconds:i* 3:acquireTime:MicroTime 4:renewTime:MicroTime
 5:leaseTransitions:i* 6:strategy:s 7:preferredHolder:s
Eviction 1:metadata:ObjectMeta 2:deleteOptions:DeleteOptions
HorizontalPodAutoscaler 1:metadata:ObjectMeta 2:spec:HorizontalPodAutoscalerSpec 3:status:-
HorizontalPodAutoscalerSpec 1:scaleTargetRef:CrossVersionObjectReference 2:minReplicas:i* 3:maxReplicas:i
 4:metrics:[MetricSpec]
CrossVersionObjectReference 1:kind:s 2:name:s 3:apiVersion:s
MetricSpec 1:type:s 4:resource:ResourceMetricSource
ResourceMetricSource 1:name:s 2:target:MetricTarget
MetricTarget 1:type:s 2:value:Quantity 3:averageValue:Quantity 4:averageUtilization:i*
PodDisruptionBudget 1:metadata:ObjectMeta 2:spec:PodDisruptionBudgetSpec 3:status:-
PodDisruptionBudgetSpec 1:minAvailable:IntOrString 2:selector:LabelSelector 3:maxUnavailable:IntOrString
 4:unhealthyPodEvictionPolicy:s
LabelSelector 1:matchLabels:{s} 2:matchExpressions:[LabelSelectorRequirement]
Role 1:metadata:ObjectMeta 2:rules:[PolicyRule]
PolicyRule 1:verbs:[s] 2:apiGroups:[s] 3:resources:[s] 4:resourceNames:[s] 5:nonResourceURLs:[s]
ClusterRole 1:metadata:ObjectMeta 2:rules:[PolicyRule] 3:aggregationRule:AggregationRule
AggregationRule 1:clusterRoleSelectors:[LabelSelector]
RoleBinding 1:metadata:ObjectMeta 2:subjects:[Subject] 3:roleRef:RoleRef
Subject 1:kind:s 2:apiGroup:s 3:name:s 4:namespace:s
RoleRef 1:apiGroup:s 2:kind:s 3:name:s
ClusterRoleBinding 1:metadata:ObjectMeta 2:subjects:[Subject] 3:roleRef:RoleRef
Deployment 1:metadata:ObjectMeta 2:spec:DeploymentSpec 3:status:-
DeploymentSpec 1:replicas:i* 2:selector:LabelSelector 3:template:PodTemplateSpec 4:strategy:DeploymentStrategy
 5:minReadySeconds:i 6:revisionHistoryLimit:i* 7:paused:b 9:progressDeadlineSeconds:i*
PodTemplateSpec 1:metadata:ObjectMeta 2:spec:PodSpec
PodSpec 1:volumes:[Volume] 2:containers:[Container] 3:restartPolicy:s 4:terminationGracePeriodSeconds:i*
 5:activeDeadlineSeconds:i* 6:dnsPolicy:s 7:nodeSelector:{s} 8:serviceAccountName:s 9:serviceAccount:s 10:nodeName:s
 11:hostNetwork:b 12:hostPID:b 13:hostIPC:b 15:imagePullSecrets:[LocalObjectReference] 16:hostname:s 17:subdomain:s
 19:schedulerName:s 20:initContainers:[Container] 21:automountServiceAccountToken:b* 22:tolerations:[Toleration]
 24:priorityClassName:s 25:priority:i* 27:shareProcessNamespace:b* 29:runtimeClassName:s 30:enableServiceLinks:b*
 31:preemptionPolicy:s 32:overhead:{Quantity} 35:setHostnameAsFQDN:b* 37:hostUsers:b*
 40:resources:ResourceRequirements
Volume 1:name:s 2:~volumeSource:VolumeSource
VolumeSource 1:hostPath:HostPathVolumeSource 2:emptyDir:EmptyDirVolumeSource 6:secret:SecretVolumeSource
 10:persistentVolumeClaim:PersistentVolumeClaimVolumeSource 19:configMap:ConfigMapVolumeSource
HostPathVolumeSource 1:path:s 2:type:s
EmptyDirVolumeSource 1:medium:s 2:sizeLimit:Quantity
SecretVolumeSource 1:secretName:s 2:items:[KeyToPath] 3:defaultMode:i* 4:optional:b*
KeyToPath 1:key:s 2:path:s 3:mode:i*
PersistentVolumeClaimVolumeSource 1:claimName:s 2:readOnly:b
ConfigMapVolumeSource 1:~localObjectReference:LocalObjectReference 2:items:[KeyToPath] 3:defaultMode:i*
 4:optional:b*
Container 1:name:s 2:image:s 3:command:[s] 4:args:[s] 5:workingDir:s 6:ports:[ContainerPort] 7:env:[EnvVar]
 8:resources:ResourceRequirements 9:volumeMounts:[VolumeMount] 13:terminationMessagePath:s 14:imagePullPolicy:s
 16:stdin:b 17:stdinOnce:b 18:tty:b 19:envFrom:[EnvFromSource] 20:terminationMessagePolicy:s 24:restartPolicy:s
ContainerPort 1:name:s 2:hostPort:i 3:containerPort:i 4:protocol:s 5:hostIP:s
EnvVar 1:name:s 2:value:s 3:valueFrom:EnvVarSource
EnvVarSource 1:fieldRef:ObjectFieldSelector 2:resourceFieldRef:ResourceFieldSelector
 3:configMapKeyRef:ConfigMapKeySelector 4:secretKeyRef:SecretKeySelector
ObjectFieldSelector 1:apiVersion:s 2:fieldPath:s
ResourceFieldSelector 1:containerName:s 2:resource:s 3:divisor:Quantity
ConfigMapKeySelector 1:~localObjectReference:LocalObjectReference 2:key:s 3:optional:b*
SecretKeySelector 1:~localObjectReference:LocalObjectReference 2:key:s 3:optional:b*
ResourceRequirements 1:limits:{Quantity} 2:requests:{Quantity}
VolumeMount 1:name:s 2:readOnly:b 3:mountPath:s 4:subPath:s 5:mountPropagation:s 6:subPathExpr:s
 7:recursiveReadOnly:s
EnvFromSource 1:prefix:s 2:configMapRef:ConfigMapEnvSource 3:secretRef:SecretEnvSource
ConfigMapEnvSource 1:~localObjectReference:LocalObjectReference 2:optional:b*
SecretEnvSource 1:~localObjectReference:LocalObjectReference 2:optional:b*
Toleration 1:key:s 2:operator:s 3:value:s 4:effect:s 5:tolerationSeconds:i*
DeploymentStrategy 1:type:s 2:rollingUpdate:RollingUpdateDeployment
RollingUpdateDeployment 1:maxUnavailable:IntOrString 2:maxSurge:IntOrString
Job 1:metadata:ObjectMeta 2:spec:JobSpec 3:status:-
JobSpec 1:parallelism:i* 2:completions:i* 3:activeDeadlineSeconds:i* 4:selector:LabelSelector 5:manualSelector:b*
 6:template:PodTemplateSpec 7:backoffLimit:i* 8:ttlSecondsAfterFinished:i* 9:completionMode:s 10:suspend:b*
 12:backoffLimitPerIndex:i* 13:maxFailedIndexes:i* 14:podReplacementPolicy:s 15:managedBy:s
CronJob 1:metadata:ObjectMeta 2:spec:CronJobSpec 3:status:-
CronJobSpec 1:schedule:s 2:startingDeadlineSeconds:i* 3:concurrencyPolicy:s 4:suspend:b*
 5:jobTemplate:JobTemplateSpec 6:successfulJobsHistoryLimit:i* 7:failedJobsHistoryLimit:i* 8:timeZone:s
JobTemplateSpec 1:metadata:ObjectMeta 2:spec:JobSpec
Ingress 1:metadata:ObjectMeta 2:spec:IngressSpec 3:status:-
IngressSpec 1:defaultBackend:IngressBackend 2:tls:[IngressTLS] 3:rules:[IngressRule] 4:ingressClassName:s
IngressBackend 3:resource:TypedLocalObjectReference 4:service:IngressServiceBackend
TypedLocalObjectReference 1:apiGroup:s 2:kind:s 3:name:s
IngressServiceBackend 1:name:s 2:port:ServiceBackendPort
ServiceBackendPort 1:name:s 2:number:i
IngressTLS 1:hosts:[s] 2:secretName:s
IngressRule 1:host:s 2:~ingressRuleValue:IngressRuleValue
IngressRuleValue 1:http:HTTPIngressRuleValue
HTTPIngressRuleValue 1:paths:[HTTPIngressPath]
HTTPIngressPath 1:path:s 2:backend:IngressBackend 3:pathType:s
PriorityClass 1:metadata:ObjectMeta 2:value:i* 3:globalDefault:b 4:description:s 5:preemptionPolicy:s
"""
