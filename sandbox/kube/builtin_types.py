"""The fields of the built-in kinds, in the notation of `schema_language`.

They are as complete as what our parts, kubectl and common manifests use: a field that is not here is unknown, and
is dropped or refused like any other unknown field. Only `builtin` reads this.
"""

from __future__ import annotations

from sandbox.kube.schema_language import Types

META = """
ObjectMeta name:str generateName:str namespace:str selfLink:str uid:str resourceVersion:str generation:int64
 creationTimestamp:time deletionTimestamp:time deletionGracePeriodSeconds:int64 labels:{str} annotations:{str}
 ownerReferences:[OwnerReference]@uid finalizers:[str]# managedFields:[any]
OwnerReference^ apiVersion:str! kind:str! name:str! uid:str! controller:bool blockOwnerDeletion:bool
LabelSelector^ matchLabels:{str} matchExpressions:[LabelSelectorRequirement]
LabelSelectorRequirement key:str! operator:str! values:[str]
Condition type:str! status:str! observedGeneration:int64 lastTransitionTime:time! reason:str! message:str!
LocalObjectReference^ name:str
ObjectReference^ kind:str namespace:str name:str uid:str apiVersion:str resourceVersion:str fieldPath:str
TypedLocalObjectReference^ apiGroup:str kind:str! name:str!
TypedObjectReference apiGroup:str kind:str! name:str! namespace:str
"""

PODS = """
Pod apiVersion:str kind:str metadata:ObjectMeta spec:PodSpec status:PodStatus
PodTemplateSpec metadata:ObjectMeta={} spec:PodSpec
PodSpec activeDeadlineSeconds:int64 affinity:Affinity automountServiceAccountToken:bool
 containers:[Container]@name! dnsConfig:PodDNSConfig dnsPolicy:str=ClusterFirst enableServiceLinks:bool
 ephemeralContainers:[any]@name hostAliases:[HostAlias]@ip hostIPC:bool? hostNetwork:bool? hostPID:bool?
 hostUsers:bool hostname:str? hostnameOverride:str imagePullSecrets:[LocalObjectReference]@name
 initContainers:[Container]@name nodeName:str? nodeSelector:{str}^ os:PodOS overhead:{quantity}
 preemptionPolicy:str priority:int32 priorityClassName:str? readinessGates:[PodReadinessGate]
 resourceClaims:[PodResourceClaim]@name~ resources:ResourceRequirements restartPolicy:str=Always
 runtimeClassName:str schedulerName:str=default-scheduler schedulingGates:[PodSchedulingGate]@name
 securityContext:PodSecurityContext={} serviceAccount:str? serviceAccountName:str? setHostnameAsFQDN:bool
 shareProcessNamespace:bool subdomain:str? terminationGracePeriodSeconds:int64=30 tolerations:[Toleration]
 topologySpreadConstraints:[TopologySpreadConstraint]@topologyKey,whenUnsatisfiable volumes:[Volume]@name~
 workloadRef:any
PodOS name:str!
PodSchedulingGate name:str!
PodReadinessGate conditionType:str!
PodResourceClaim name:str! resourceClaimName:str resourceClaimTemplateName:str
HostAlias ip:str! hostnames:[str]
PodDNSConfig nameservers:[str] searches:[str] options:[PodDNSConfigOption]
PodDNSConfigOption name:str value:str
Toleration key:str operator:str value:str effect:str tolerationSeconds:int64
TopologySpreadConstraint labelSelector:LabelSelector matchLabelKeys:[str] maxSkew:int32! minDomains:int32
 nodeAffinityPolicy:str nodeTaintsPolicy:str topologyKey:str! whenUnsatisfiable:str!
Affinity nodeAffinity:NodeAffinity podAffinity:PodAffinity podAntiAffinity:PodAffinity
NodeAffinity requiredDuringSchedulingIgnoredDuringExecution:NodeSelector
 preferredDuringSchedulingIgnoredDuringExecution:[PreferredSchedulingTerm]
NodeSelector^ nodeSelectorTerms:[NodeSelectorTerm]!
NodeSelectorTerm^ matchExpressions:[LabelSelectorRequirement] matchFields:[LabelSelectorRequirement]
PreferredSchedulingTerm weight:int32! preference:NodeSelectorTerm!
PodAffinity requiredDuringSchedulingIgnoredDuringExecution:[PodAffinityTerm]
 preferredDuringSchedulingIgnoredDuringExecution:[WeightedPodAffinityTerm]
PodAffinityTerm labelSelector:LabelSelector namespaces:[str] namespaceSelector:LabelSelector topologyKey:str!
 matchLabelKeys:[str] mismatchLabelKeys:[str]
WeightedPodAffinityTerm weight:int32! podAffinityTerm:PodAffinityTerm!
PodSecurityContext appArmorProfile:SecurityProfile fsGroup:int64 fsGroupChangePolicy:str runAsGroup:int64
 runAsNonRoot:bool runAsUser:int64 seLinuxOptions:SELinuxOptions seLinuxChangePolicy:str
 seccompProfile:SecurityProfile supplementalGroups:[int64] supplementalGroupsPolicy:str sysctls:[Sysctl]
 windowsOptions:any
SecurityProfile type:str! localhostProfile:str
SELinuxOptions user:str role:str type:str level:str
Sysctl name:str! value:str!
Container args:[str] command:[str] env:[EnvVar]@name envFrom:[EnvFromSource] image:str? imagePullPolicy:str
 lifecycle:Lifecycle livenessProbe:Probe name:str! ports:[ContainerPort]@containerPort,protocol
 readinessProbe:Probe resizePolicy:[ContainerResizePolicy] resources:ResourceRequirements={} restartPolicy:str
 restartPolicyRules:[any] securityContext:SecurityContext startupProbe:Probe stdin:bool? stdinOnce:bool?
 terminationMessagePath:str=/dev/termination-log terminationMessagePolicy:str=File tty:bool?
 volumeDevices:[VolumeDevice]@devicePath volumeMounts:[VolumeMount]@mountPath workingDir:str?
ContainerPort containerPort:int32! hostIP:str? hostPort:int32? name:str? protocol:str=TCP
ContainerResizePolicy resourceName:str! restartPolicy:str!
EnvVar name:str! value:str? valueFrom:EnvVarSource
EnvVarSource configMapKeyRef:KeySelector fieldRef:ObjectFieldSelector resourceFieldRef:ResourceFieldSelector
 secretKeyRef:KeySelector fileKeyRef:any
KeySelector^ key:str! name:str optional:bool
ObjectFieldSelector^ apiVersion:str=v1 fieldPath:str!
ResourceFieldSelector^ containerName:str divisor:quantity resource:str!
EnvFromSource prefix:str configMapRef:SourceReference secretRef:SourceReference
SourceReference name:str optional:bool
Lifecycle postStart:LifecycleHandler preStop:LifecycleHandler stopSignal:str
LifecycleHandler exec:ExecAction httpGet:HTTPGetAction sleep:SleepAction tcpSocket:TCPSocketAction
Probe exec:ExecAction failureThreshold:int32=3 grpc:GRPCAction httpGet:HTTPGetAction initialDelaySeconds:int32?
 periodSeconds:int32=10 successThreshold:int32=1 tcpSocket:TCPSocketAction terminationGracePeriodSeconds:int64
 timeoutSeconds:int32=1
ExecAction command:[str]
HTTPGetAction path:str=/ port:intstr! host:str scheme:str=HTTP httpHeaders:[HTTPHeader]
HTTPHeader name:str! value:str!
SleepAction seconds:int64!
TCPSocketAction host:str port:intstr!
GRPCAction port:int32! service:str=""
ResourceRequirements claims:[ResourceClaim]@name- limits:{quantity} requests:{quantity}
ResourceClaim name:str! request:str
SecurityContext allowPrivilegeEscalation:bool appArmorProfile:SecurityProfile capabilities:Capabilities
 privileged:bool procMount:str readOnlyRootFilesystem:bool runAsGroup:int64 runAsNonRoot:bool runAsUser:int64
 seLinuxOptions:SELinuxOptions seccompProfile:SecurityProfile windowsOptions:any
Capabilities add:[str] drop:[str]
VolumeDevice devicePath:str! name:str!
VolumeMount mountPath:str! mountPropagation:str name:str! readOnly:bool? recursiveReadOnly:str subPath:str?
 subPathExpr:str?
Volume name:str! configMap:ConfigMapVolumeSource secret:SecretVolumeSource emptyDir:EmptyDirVolumeSource
 hostPath:HostPathVolumeSource persistentVolumeClaim:PVCVolumeSource downwardAPI:DownwardAPIVolumeSource
 projected:ProjectedVolumeSource csi:CSIVolumeSource ephemeral:any nfs:any image:any iscsi:any fc:any rbd:any
 cephfs:any glusterfs:any gitRepo:any azureDisk:any azureFile:any awsElasticBlockStore:any gcePersistentDisk:any
 cinder:any flexVolume:any flocker:any photonPersistentDisk:any portworxVolume:any quobyte:any scaleIO:any
 storageos:any vsphereVolume:any
ConfigMapVolumeSource name:str items:[KeyToPath] defaultMode:int32=420 optional:bool
SecretVolumeSource secretName:str items:[KeyToPath] defaultMode:int32=420 optional:bool
KeyToPath key:str! path:str! mode:int32
EmptyDirVolumeSource medium:str sizeLimit:quantity
HostPathVolumeSource path:str! type:str=""
PVCVolumeSource claimName:str! readOnly:bool
DownwardAPIVolumeSource items:[DownwardAPIVolumeFile] defaultMode:int32=420
DownwardAPIVolumeFile path:str! fieldRef:ObjectFieldSelector resourceFieldRef:ResourceFieldSelector mode:int32
ProjectedVolumeSource sources:[VolumeProjection] defaultMode:int32=420
VolumeProjection configMap:ConfigMapProjection secret:ConfigMapProjection downwardAPI:DownwardAPIProjection
 serviceAccountToken:ServiceAccountTokenProjection clusterTrustBundle:any podCertificate:any
ConfigMapProjection name:str items:[KeyToPath] optional:bool
DownwardAPIProjection items:[DownwardAPIVolumeFile]
ServiceAccountTokenProjection audience:str expirationSeconds:int64=3600 path:str!
CSIVolumeSource driver:str! fsType:str nodePublishSecretRef:LocalObjectReference readOnly:bool
 volumeAttributes:{str}
PodStatus allocatedResources:{quantity} conditions:[PodCondition]@type containerStatuses:[ContainerStatus]
 ephemeralContainerStatuses:[ContainerStatus] extendedResourceClaimStatus:any hostIP:str hostIPs:[HostIP]
 initContainerStatuses:[ContainerStatus] message:str nominatedNodeName:str observedGeneration:int64 phase:str
 podIP:str podIPs:[HostIP]@ip qosClass:str reason:str resize:str resourceClaimStatuses:[any]@name~
 resources:ResourceRequirements startTime:time
HostIP ip:str!
ContainerStatus allocatedResources:{quantity} allocatedResourcesStatus:[any]@name containerID:str image:str imageID:str
 lastState:ContainerState name:str ready:bool resources:any restartCount:int32 started:bool state:ContainerState
 stopSignal:str user:any volumeMounts:[any]@mountPath
ContainerState running:ContainerStateRunning terminated:ContainerStateTerminated waiting:ContainerStateWaiting
ContainerStateRunning startedAt:time
ContainerStateTerminated containerID:str exitCode:int32 finishedAt:time message:str reason:str signal:int32
 startedAt:time
ContainerStateWaiting message:str reason:str
PodCondition type:str! status:str! lastProbeTime:time lastTransitionTime:time reason:str message:str
 observedGeneration:int64
"""

CORE = """
Namespace apiVersion:str kind:str metadata:ObjectMeta spec:NamespaceSpec status:NamespaceStatus
NamespaceSpec finalizers:[str]
NamespaceStatus phase:str conditions:[PlainCondition]@type
PlainCondition type:str! status:str! lastTransitionTime:time reason:str message:str
UpdatedCondition type:str! status:str! lastTransitionTime:time lastUpdateTime:time reason:str message:str
ProbedCondition type:str! status:str! lastTransitionTime:time lastProbeTime:time reason:str message:str
NodeCondition type:str! status:str! lastTransitionTime:time lastHeartbeatTime:time reason:str message:str
ConfigMap apiVersion:str kind:str metadata:ObjectMeta data:{str} binaryData:{bytes} immutable:bool
Secret apiVersion:str kind:str metadata:ObjectMeta data:{bytes} stringData:{str} immutable:bool type:str=Opaque
Service apiVersion:str kind:str metadata:ObjectMeta spec:ServiceSpec status:ServiceStatus
ServiceSpec allocateLoadBalancerNodePorts:bool clusterIP:str clusterIPs:[str] externalIPs:[str] externalName:str?
 externalTrafficPolicy:str healthCheckNodePort:int32? internalTrafficPolicy:str ipFamilies:[str]
 ipFamilyPolicy:str loadBalancerClass:str loadBalancerIP:str? loadBalancerSourceRanges:[str]
 ports:[ServicePort]@port,protocol publishNotReadyAddresses:bool? selector:{str}^ sessionAffinity:str=None
 sessionAffinityConfig:any trafficDistribution:str type:str=ClusterIP
ServicePort appProtocol:str name:str? nodePort:int32? port:int32! protocol:str=TCP targetPort:intstr
ServiceStatus conditions:[Condition]@type loadBalancer:LoadBalancerStatus
LoadBalancerStatus ingress:[any]
ServiceAccount apiVersion:str kind:str metadata:ObjectMeta automountServiceAccountToken:bool
 imagePullSecrets:[LocalObjectReference] secrets:[ObjectReference]@name
Endpoints apiVersion:str kind:str metadata:ObjectMeta subsets:[EndpointSubset]
EndpointSubset addresses:[EndpointAddress] notReadyAddresses:[EndpointAddress] ports:[EndpointPort]
EndpointAddress^ ip:str! hostname:str nodeName:str targetRef:ObjectReference
EndpointPort^ name:str port:int32! protocol:str=TCP appProtocol:str
Event apiVersion:str kind:str metadata:ObjectMeta! involvedObject:ObjectReference! reason:str message:str
 source:EventSource={} firstTimestamp:time lastTimestamp:time count:int32 type:str eventTime:time
 series:EventSeries action:str related:ObjectReference reportingComponent:str="" reportingInstance:str=""
EventSource component:str host:str
EventSeries count:int32 lastObservedTime:time
Node apiVersion:str kind:str metadata:ObjectMeta spec:NodeSpec status:NodeStatus
NodeSpec configSource:any externalID:str podCIDR:str podCIDRs:[str]# providerID:str taints:[Taint]
 unschedulable:bool?
Taint key:str! value:str effect:str! timeAdded:time
NodeStatus addresses:[NodeAddress]@type allocatable:{quantity} capacity:{quantity}
 conditions:[NodeCondition]@type config:any daemonEndpoints:NodeDaemonEndpoints features:any images:[any]
 nodeInfo:any phase:str declaredFeatures:[str] runtimeHandlers:[any] volumesAttached:[any] volumesInUse:[str]
NodeAddress type:str! address:str!
NodeDaemonEndpoints kubeletEndpoint:DaemonEndpoint
DaemonEndpoint Port:int32!
PersistentVolumeClaim apiVersion:str kind:str metadata:ObjectMeta spec:PVCSpec status:PVCStatus
PVCSpec accessModes:[str] dataSource:TypedLocalObjectReference dataSourceRef:TypedObjectReference
 resources:VolumeResources selector:LabelSelector storageClassName:str volumeAttributesClassName:str
 volumeMode:str=Filesystem volumeName:str
VolumeResources limits:{quantity} requests:{quantity}
PVCStatus accessModes:[str] allocatedResourceStatuses:{str} allocatedResources:{quantity} capacity:{quantity}
 conditions:[ProbedCondition]@type currentVolumeAttributesClassName:str modifyVolumeStatus:any phase:str
PersistentVolume apiVersion:str kind:str metadata:ObjectMeta spec:any status:any
ResourceQuota apiVersion:str kind:str metadata:ObjectMeta spec:ResourceQuotaSpec status:ResourceQuotaStatus
ResourceQuotaSpec hard:{quantity} scopes:[str] scopeSelector:any
ResourceQuotaStatus hard:{quantity} used:{quantity}
LimitRange apiVersion:str kind:str metadata:ObjectMeta spec:LimitRangeSpec
LimitRangeSpec limits:[LimitRangeItem]!
LimitRangeItem type:str! default:{quantity} defaultRequest:{quantity} max:{quantity} maxLimitRequestRatio:{quantity}
 min:{quantity}
Binding apiVersion:str kind:str metadata:ObjectMeta target:ObjectReference!
"""

WORKLOADS = """
Deployment apiVersion:str kind:str metadata:ObjectMeta spec:DeploymentSpec status:DeploymentStatus
DeploymentSpec minReadySeconds:int32? paused:bool? progressDeadlineSeconds:int32=600 replicas:int32=1
 revisionHistoryLimit:int32=10 selector:LabelSelector! strategy:DeploymentStrategy~={} template:PodTemplateSpec!
DeploymentStrategy type:str=RollingUpdate rollingUpdate:RollingUpdate
RollingUpdate maxSurge:intstr maxUnavailable:intstr
DeploymentStatus availableReplicas:int32 collisionCount:int32 conditions:[UpdatedCondition]@type
 observedGeneration:int64 readyReplicas:int32 replicas:int32 terminatingReplicas:int32
 unavailableReplicas:int32 updatedReplicas:int32
ReplicaSet apiVersion:str kind:str metadata:ObjectMeta spec:ReplicaSetSpec status:ReplicaSetStatus
ReplicaSetSpec minReadySeconds:int32? replicas:int32=1 selector:LabelSelector! template:PodTemplateSpec
ReplicaSetStatus availableReplicas:int32 conditions:[PlainCondition]@type fullyLabeledReplicas:int32
 observedGeneration:int64 readyReplicas:int32 replicas:int32 terminatingReplicas:int32
StatefulSet apiVersion:str kind:str metadata:ObjectMeta spec:StatefulSetSpec status:StatefulSetStatus
StatefulSetSpec minReadySeconds:int32? ordinals:StatefulSetOrdinals
 persistentVolumeClaimRetentionPolicy:StatefulSetRetention
 podManagementPolicy:str=OrderedReady replicas:int32=1 revisionHistoryLimit:int32=10 selector:LabelSelector!
 serviceName:str="" template:PodTemplateSpec! updateStrategy:StatefulSetUpdateStrategy={}
 volumeClaimTemplates:[PersistentVolumeClaim]
StatefulSetOrdinals start:int32=0
StatefulSetRetention whenDeleted:str whenScaled:str
StatefulSetUpdateStrategy type:str=RollingUpdate rollingUpdate:StatefulSetRollingUpdate
StatefulSetRollingUpdate maxUnavailable:intstr partition:int32
StatefulSetStatus availableReplicas:int32 collisionCount:int32 conditions:[PlainCondition]@type
 currentReplicas:int32 currentRevision:str observedGeneration:int64 readyReplicas:int32 replicas:int32
 updateRevision:str updatedReplicas:int32
DaemonSet apiVersion:str kind:str metadata:ObjectMeta spec:DaemonSetSpec status:DaemonSetStatus
DaemonSetSpec minReadySeconds:int32? revisionHistoryLimit:int32=10 selector:LabelSelector!
 template:PodTemplateSpec! updateStrategy:DaemonSetUpdateStrategy={}
DaemonSetUpdateStrategy type:str=RollingUpdate rollingUpdate:RollingUpdate
DaemonSetStatus collisionCount:int32 conditions:[PlainCondition]@type currentNumberScheduled:int32
 desiredNumberScheduled:int32 numberAvailable:int32 numberMisscheduled:int32 numberReady:int32
 numberUnavailable:int32 observedGeneration:int64 updatedNumberScheduled:int32
ControllerRevision apiVersion:str kind:str metadata:ObjectMeta data:any revision:int64!
Job apiVersion:str kind:str metadata:ObjectMeta spec:JobSpec status:JobStatus
JobSpec activeDeadlineSeconds:int64 backoffLimit:int32=6 backoffLimitPerIndex:int32 completionMode:str=NonIndexed
 completions:int32 managedBy:str manualSelector:bool maxFailedIndexes:int32 parallelism:int32 podFailurePolicy:any
 podReplacementPolicy:str selector:LabelSelector successPolicy:any suspend:bool=false template:PodTemplateSpec!
 ttlSecondsAfterFinished:int32
JobStatus active:int32 completedIndexes:str completionTime:time conditions:[ProbedCondition] failed:int32
 failedIndexes:str ready:int32 startTime:time succeeded:int32 terminating:int32 uncountedTerminatedPods:any
CronJob apiVersion:str kind:str metadata:ObjectMeta spec:CronJobSpec status:any
CronJobSpec concurrencyPolicy:str=Allow failedJobsHistoryLimit:int32=1 jobTemplate:JobTemplateSpec! schedule:str!
 startingDeadlineSeconds:int64 successfulJobsHistoryLimit:int32=3 suspend:bool=false timeZone:str
JobTemplateSpec metadata:ObjectMeta={} spec:TemplatedJobSpec
TemplatedJobSpec activeDeadlineSeconds:int64 backoffLimit:int32 backoffLimitPerIndex:int32 completionMode:str
 completions:int32 managedBy:str manualSelector:bool maxFailedIndexes:int32 parallelism:int32 podFailurePolicy:any
 podReplacementPolicy:str selector:LabelSelector successPolicy:any suspend:bool template:PodTemplateSpec!
 ttlSecondsAfterFinished:int32
HorizontalPodAutoscaler apiVersion:str kind:str metadata:ObjectMeta spec:HPASpec status:HPAStatus
HPASpec behavior:any maxReplicas:int32! metrics:[any] minReplicas:int32=1 scaleTargetRef:CrossVersionReference!
CrossVersionReference apiVersion:str kind:str! name:str!
HPAStatus conditions:[PlainCondition]@type currentMetrics:[any] currentReplicas:int32 desiredReplicas:int32
 lastScaleTime:time observedGeneration:int64
PodDisruptionBudget apiVersion:str kind:str metadata:ObjectMeta spec:PDBSpec status:PDBStatus
PDBSpec maxUnavailable:intstr minAvailable:intstr selector:LabelSelector% unhealthyPodEvictionPolicy:str
PDBStatus conditions:[Condition]@type currentHealthy:int32 desiredHealthy:int32 disruptedPods:{time}
 disruptionsAllowed:int32 expectedPods:int32 observedGeneration:int64
Eviction apiVersion:str kind:str metadata:ObjectMeta deleteOptions:any
Scale apiVersion:str kind:str metadata:ObjectMeta spec:ScaleSpec status:ScaleStatus
ScaleSpec replicas:int32
ScaleStatus replicas:int32! selector:str
"""

OTHERS = """
Ingress apiVersion:str kind:str metadata:ObjectMeta spec:IngressSpec status:any
IngressSpec defaultBackend:IngressBackend ingressClassName:str rules:[IngressRule] tls:[IngressTLS]
IngressBackend resource:TypedLocalObjectReference service:IngressServiceBackend
IngressServiceBackend name:str! port:ServiceBackendPort
ServiceBackendPort^ name:str number:int32
IngressRule host:str http:HTTPIngressRuleValue
HTTPIngressRuleValue paths:[HTTPIngressPath]!
HTTPIngressPath backend:IngressBackend! path:str pathType:str!
IngressTLS hosts:[str] secretName:str
IngressClass apiVersion:str kind:str metadata:ObjectMeta spec:any
NetworkPolicy apiVersion:str kind:str metadata:ObjectMeta spec:NetworkPolicySpec
NetworkPolicySpec egress:[any] ingress:[any] podSelector:LabelSelector policyTypes:[str]
Lease apiVersion:str kind:str metadata:ObjectMeta spec:LeaseSpec={}
LeaseSpec acquireTime:time holderIdentity:str leaseDurationSeconds:int32 leaseTransitions:int32
 preferredHolder:str renewTime:time strategy:str
Role apiVersion:str kind:str metadata:ObjectMeta rules:[PolicyRule]
ClusterRole apiVersion:str kind:str metadata:ObjectMeta aggregationRule:any rules:[PolicyRule]
PolicyRule apiGroups:[str] nonResourceURLs:[str] resourceNames:[str] resources:[str] verbs:[str]!
RoleBinding apiVersion:str kind:str metadata:ObjectMeta roleRef:RoleRef! subjects:[Subject]
ClusterRoleBinding apiVersion:str kind:str metadata:ObjectMeta roleRef:RoleRef! subjects:[Subject]
RoleRef^ apiGroup:str=rbac.authorization.k8s.io kind:str! name:str!
Subject^ apiGroup:str kind:str! name:str! namespace:str
EndpointSlice apiVersion:str kind:str metadata:ObjectMeta addressType:str! endpoints:[Endpoint]!
 ports:[SlicePort]
Endpoint addresses:[str]#!- conditions:EndpointConditions={} deprecatedTopology:{str} hints:any hostname:str
 nodeName:str targetRef:ObjectReference zone:str
EndpointConditions ready:bool serving:bool terminating:bool
SlicePort^ appProtocol:str name:str="" port:int32 protocol:str=TCP
CustomResourceDefinition apiVersion:str kind:str metadata:ObjectMeta spec:CRDSpec! status:CRDStatus
CRDSpec conversion:any={"strategy":"None"} group:str! names:CRDNames! preserveUnknownFields:bool scope:str!
 versions:[CRDVersion]!
CRDNames categories:[str] kind:str! listKind:str plural:str! shortNames:[str] singular:str
CRDVersion additionalPrinterColumns:[PrinterColumn] deprecated:bool deprecationWarning:str name:str!
 schema:CRDValidation selectableFields:[any] served:bool! storage:bool! subresources:CRDSubresources
PrinterColumn description:str format:str jsonPath:str! name:str! priority:int32 type:str!
CRDValidation openAPIV3Schema:any
CRDSubresources scale:CRDScale status:any
CRDScale labelSelectorPath:str specReplicasPath:str! statusReplicasPath:str!
CRDCondition type:str! status:str! lastTransitionTime:time reason:str message:str observedGeneration:int64
CRDStatus acceptedNames:CRDNames conditions:[CRDCondition]@type- storedVersions:[str] observedGeneration:int64
MutatingWebhookConfiguration apiVersion:str kind:str metadata:ObjectMeta webhooks:[MutatingWebhook]@name
ValidatingWebhookConfiguration apiVersion:str kind:str metadata:ObjectMeta webhooks:[Webhook]@name
Webhook admissionReviewVersions:[str]! clientConfig:WebhookClientConfig! failurePolicy:str=Fail
 matchConditions:[MatchCondition]@name matchPolicy:str=Equivalent name:str! namespaceSelector:LabelSelector={}
 objectSelector:LabelSelector={} rules:[RuleWithOperations] sideEffects:str!
 timeoutSeconds:int32=10
MutatingWebhook admissionReviewVersions:[str]! clientConfig:WebhookClientConfig! failurePolicy:str=Fail
 matchConditions:[MatchCondition]@name matchPolicy:str=Equivalent name:str! namespaceSelector:LabelSelector={}
 objectSelector:LabelSelector={} reinvocationPolicy:str rules:[RuleWithOperations] sideEffects:str!
 timeoutSeconds:int32=10
WebhookClientConfig caBundle:bytes service:WebhookService url:str
WebhookService name:str! namespace:str! path:str port:int32=443
MatchCondition name:str! expression:str!
RuleWithOperations apiGroups:[str] apiVersions:[str] operations:[str] resources:[str] scope:str=*
PriorityClass apiVersion:str kind:str metadata:ObjectMeta description:str globalDefault:bool
 preemptionPolicy:str=PreemptLowerPriority value:int32!
StorageClass apiVersion:str kind:str metadata:ObjectMeta allowVolumeExpansion:bool allowedTopologies:[any]
 mountOptions:[str] parameters:{str} provisioner:str! reclaimPolicy:str=Delete
 volumeBindingMode:str=Immediate
APIService apiVersion:str kind:str metadata:ObjectMeta spec:any status:any
RuntimeClass apiVersion:str kind:str metadata:ObjectMeta handler:str! overhead:any scheduling:any
TokenReview apiVersion:str kind:str metadata:ObjectMeta spec:TokenReviewSpec! status:any
TokenReviewSpec token:str audiences:[str]
TokenRequest apiVersion:str kind:str metadata:ObjectMeta spec:TokenRequestSpec! status:any
TokenRequestSpec audiences:[str] boundObjectRef:any expirationSeconds:int64=3600
SelfSubjectReview apiVersion:str kind:str metadata:ObjectMeta status:any
SubjectAccessReview apiVersion:str kind:str metadata:ObjectMeta spec:SubjectAccessReviewSpec! status:any
SubjectAccessReviewSpec extra:any groups:[str] nonResourceAttributes:NonResourceAttributes
 resourceAttributes:ResourceAttributes uid:str user:str
LocalSubjectAccessReview apiVersion:str kind:str metadata:ObjectMeta spec:SubjectAccessReviewSpec! status:any
SelfSubjectAccessReview apiVersion:str kind:str metadata:ObjectMeta spec:SelfSubjectAccessReviewSpec! status:any
SelfSubjectAccessReviewSpec nonResourceAttributes:NonResourceAttributes resourceAttributes:ResourceAttributes
NonResourceAttributes path:str verb:str
ResourceAttributes fieldSelector:any group:str labelSelector:any name:str namespace:str resource:str
 subresource:str verb:str version:str
SelfSubjectRulesReview apiVersion:str kind:str metadata:ObjectMeta spec:SelfSubjectRulesReviewSpec! status:any
SelfSubjectRulesReviewSpec namespace:str
NewEvent apiVersion:str kind:str metadata:ObjectMeta action:str deprecatedCount:int32
 deprecatedFirstTimestamp:time deprecatedLastTimestamp:time deprecatedSource:EventSource eventTime:time note:str
 reason:str regarding:ObjectReference related:ObjectReference reportingController:str reportingInstance:str
 series:EventSeries type:str
"""

TYPES = Types(META + PODS + CORE + WORKLOADS + OTHERS, "io.k8s.api.")
