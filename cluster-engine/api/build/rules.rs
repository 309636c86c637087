//! What neither source says: which scalars are pointers in Go, and patch strategies that stand only in Go's struct tags.

/// Pointer scalars: a zero that a client sends in protobuf is meant (`replicas: 0`). Lines of `Type: field field …`; the type's package does not
/// matter. Lists, maps and structs need no entry.
pub(crate) const POINTERS: &str = "
AzureDiskVolumeSource: cachingMode fsType readOnly kind
AzureFilePersistentVolumeSource: secretNamespace
CSIVolumeSource: readOnly fsType
ClusterTrustBundleProjection: name signerName optional
ConfigMap: immutable
Secret: immutable
ConfigMapEnvSource: optional
ConfigMapKeySelector: optional
ConfigMapProjection: optional
ConfigMapVolumeSource: defaultMode optional
DownwardAPIVolumeSource: defaultMode
DownwardAPIVolumeFile: mode
KeyToPath: mode
SecretVolumeSource: defaultMode optional
SecretProjection: optional
SecretEnvSource: optional
SecretKeySelector: optional
FileKeySelector: optional
ProjectedVolumeSource: defaultMode
ServiceAccountTokenProjection: expirationSeconds
PodCertificateProjection: maxExpirationSeconds
Container: restartPolicy
EphemeralContainer: restartPolicy
EphemeralContainerCommon: restartPolicy
ContainerStatus: started stopSignal
Lifecycle: stopSignal
EndpointAddress: nodeName
EndpointPort: appProtocol name protocol port
FCVolumeSource: lun
GlusterfsPersistentVolumeSource: endpointsNamespace
GRPCAction: service
HostPathVolumeSource: type
ISCSIVolumeSource: initiatorName
ISCSIPersistentVolumeSource: initiatorName
LoadBalancerIngress: ipMode
PortStatus: error
IngressPortStatus: error
LocalVolumeSource: fsType
NodeRuntimeHandlerFeatures: recursiveReadOnlyMounts userNamespaces
NodeFeatures: supplementalGroupsPolicy
NodeSwapStatus: capacity
PersistentVolumeClaimSpec: storageClassName volumeMode volumeAttributesClassName
PersistentVolumeClaimStatus: currentVolumeAttributesClassName
PersistentVolumeSpec: volumeMode volumeAttributesClassName
TypedLocalObjectReference: apiGroup
TypedObjectReference: apiGroup namespace
PodDNSConfigOption: value
PodSecurityContext: runAsUser runAsGroup runAsNonRoot fsGroup supplementalGroupsPolicy fsGroupChangePolicy seLinuxChangePolicy
SecurityContext: privileged runAsUser runAsGroup runAsNonRoot readOnlyRootFilesystem allowPrivilegeEscalation procMount
WindowsSecurityContextOptions: gmsaCredentialSpecName gmsaCredentialSpec runAsUserName hostProcess
SeccompProfile: localhostProfile
AppArmorProfile: localhostProfile
PodSpec: terminationGracePeriodSeconds activeDeadlineSeconds automountServiceAccountToken shareProcessNamespace priority runtimeClassName enableServiceLinks preemptionPolicy setHostnameAsFQDN hostUsers hostnameOverride
PodResourceClaim: resourceClaimName resourceClaimTemplateName
PodResourceClaimStatus: resourceClaimName
PodSchedulingGroup: podGroupName
Probe: terminationGracePeriodSeconds
ReplicationControllerSpec: replicas
ServiceAccount: automountServiceAccountToken
ServicePort: appProtocol
ServiceSpec: ipFamilyPolicy allocateLoadBalancerNodePorts loadBalancerClass internalTrafficPolicy trafficDistribution
ClientIPConfig: timeoutSeconds
Toleration: tolerationSeconds
TopologySpreadConstraint: minDomains nodeAffinityPolicy nodeTaintsPolicy
VolumeMount: mountPropagation recursiveReadOnly
VolumeMountStatus: recursiveReadOnly
ObjectMeta: deletionGracePeriodSeconds
OwnerReference: controller blockOwnerDeletion
DeleteOptions: gracePeriodSeconds orphanDependents propagationPolicy ignoreStoreReadErrorWithClusterBreakingPotential
Preconditions: uid resourceVersion
ListOptions: timeoutSeconds sendInitialEvents
ListMeta: remainingItemCount
PatchOptions: force
DeploymentSpec: replicas revisionHistoryLimit progressDeadlineSeconds
DeploymentStatus: collisionCount terminatingReplicas
ReplicaSetSpec: replicas
ReplicaSetStatus: terminatingReplicas
StatefulSetSpec: replicas revisionHistoryLimit
RollingUpdateStatefulSetStrategy: partition
StatefulSetStatus: collisionCount
DaemonSetSpec: revisionHistoryLimit
DaemonSetStatus: collisionCount
JobSpec: parallelism completions activeDeadlineSeconds backoffLimit backoffLimitPerIndex maxFailedIndexes manualSelector ttlSecondsAfterFinished completionMode suspend podReplacementPolicy managedBy
JobStatus: terminating failedIndexes ready
CronJobSpec: timeZone startingDeadlineSeconds suspend successfulJobsHistoryLimit failedJobsHistoryLimit
PodFailurePolicyOnExitCodesRequirement: containerName
SuccessPolicyRule: succeededIndexes succeededCount
HorizontalPodAutoscalerSpec: minReplicas targetCPUUtilizationPercentage
HorizontalPodAutoscalerStatus: observedGeneration currentCPUUtilizationPercentage
MetricTarget: averageUtilization
MetricValueStatus: averageUtilization
HPAScalingRules: stabilizationWindowSeconds selectPolicy
IngressSpec: ingressClassName
HTTPIngressPath: pathType
IngressClassParametersReference: apiGroup scope namespace
NetworkPolicyPort: protocol endPort
PodDisruptionBudgetSpec: unhealthyPodEvictionPolicy
StorageClass: reclaimPolicy allowVolumeExpansion volumeBindingMode
CSIDriverSpec: attachRequired podInfoOnMount storageCapacity fsGroupPolicy requiresRepublish seLinuxMount nodeAllocatableUpdatePeriodSeconds serviceAccountTokenInSecrets preventPodSchedulingIfMissing
TokenRequest: expirationSeconds
TokenRequestSpec: expirationSeconds
VolumeAttachmentSource: persistentVolumeName
VolumeError: errorCode
VolumeNodeResources: count
LeaseSpec: holderIdentity leaseDurationSeconds leaseTransitions strategy preferredHolder
PriorityClass: preemptionPolicy
EndpointConditions: ready serving terminating
Endpoint: hostname nodeName zone
CertificateSigningRequestSpec: expirationSeconds
PodCertificateRequestSpec: maxExpirationSeconds
MutatingWebhook: failurePolicy matchPolicy sideEffects timeoutSeconds reinvocationPolicy
ValidatingWebhook: failurePolicy matchPolicy sideEffects timeoutSeconds
Rule: scope
RuleWithOperations: scope
NamedRuleWithOperations: scope
ServiceReference: path port
WebhookClientConfig: url
ParamRef: parameterNotFoundAction
Validation: reason
ValidatingAdmissionPolicySpec: failurePolicy
MutatingAdmissionPolicySpec: failurePolicy
MatchResources: matchPolicy
CustomResourceDefinitionVersion: deprecationWarning
CustomResourceSubresourceScale: labelSelectorPath
ValidationRule: reason optionalOldSelf
JSONSchemaProps: $ref maximum minimum maxLength minLength maxItems minItems multipleOf maxProperties minProperties x-kubernetes-preserve-unknown-fields x-kubernetes-list-type x-kubernetes-map-type
LimitedPriorityLevelConfiguration: nominalConcurrencyShares lendablePercent borrowingLimitPercent
ExemptPriorityLevelConfiguration: nominalConcurrencyShares lendablePercent
DeviceAttribute: int bool string version
DeviceRequest: adminAccess
ExactDeviceRequest: adminAccess
DeviceRequestAllocationResult: adminAccess shareID
AllocatedDeviceStatus: shareID
DeviceConstraint: matchAttribute distinctAttribute
DeviceClassSpec: extendedResourceName
DeviceToleration: tolerationSeconds
ResourceSliceSpec: nodeName allNodes perDeviceNodeSelection
Device: nodeName allNodes bindsToNode allowMultipleAllocations
BasicDevice: nodeName allNodes bindsToNode allowMultipleAllocations
DeviceTaintSelector: driver pool device deviceClassName
";

/// Structs held by value, besides every `metadata`, `spec` and `status`. Same form as [`POINTERS`].
pub(crate) const VALUES: &str = "
DeploymentSpec: template strategy
ReplicaSetSpec: template
StatefulSetSpec: template updateStrategy
DaemonSetSpec: template updateStrategy
JobSpec: template
CronJobSpec: jobTemplate
PodTemplate: template
Container: resources
EphemeralContainer: resources
EphemeralContainerCommon: resources
PersistentVolumeClaimSpec: resources
ContainerStatus: state lastState
ServiceStatus: loadBalancer
IngressStatus: loadBalancer
NodeStatus: nodeInfo daemonEndpoints
NodeDaemonEndpoints: kubeletEndpoint
RoleBinding: roleRef
ClusterRoleBinding: roleRef
Event: involvedObject source regarding deprecatedSource
HorizontalPodAutoscalerSpec: scaleTargetRef
CustomResourceDefinitionSpec: names
CustomResourceDefinitionStatus: acceptedNames
NetworkPolicySpec: podSelector
MutatingWebhook: clientConfig
ValidatingWebhook: clientConfig
VolumeAttachmentSpec: source
Binding: target
HTTPIngressPath: backend
IngressServiceBackend: port
";

/// Patch strategies of Go's struct tags that the protobuf comments lack: type, field, strategy, merge key.
pub(crate) const PATCHES: &[(&str, &str, &str, &str)] = &[
    ("io.k8s.api.policy.v1.PodDisruptionBudgetSpec", "selector", "replace", ""),
    ("io.k8s.api.apps.v1.DeploymentSpec", "strategy", "retainKeys", ""),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "finalizers", "merge", ""),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "ownerReferences", "merge", "uid"),
    ("io.k8s.api.core.v1.NodeSpec", "podCIDRs", "merge", ""),
];

/// `field` of a type of this name is a pointer to a scalar in Go.
pub(crate) fn is_pointer(type_name: &str, field: &str) -> bool {
    listed(POINTERS, type_name, field)
}

/// `field` of a type of this name is a struct by value in Go.
pub(crate) fn is_value(type_name: &str, field: &str) -> bool {
    matches!(field, "metadata" | "spec" | "status") || listed(VALUES, type_name, field)
}

fn listed(table: &str, type_name: &str, field: &str) -> bool {
    let name = type_name.rsplit('.').next().unwrap_or(type_name);
    table
        .lines()
        .filter_map(|line| line.split_once(": "))
        .any(|(owner, fields)| owner == name && fields.split(' ').any(|f| f == field))
}
