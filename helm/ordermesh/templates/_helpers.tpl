{{- define "ordermesh.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "ordermesh.table" -}}
{{- $values := .Values -}}
{{- $table := dict -}}
{{- range $service, $facts := .Files.Get "files/services.yaml" | fromYaml -}}
{{- if or (not $facts.enabledBy) (dig (default "" $facts.enabledBy) "enabled" false $values.AsMap) }}{{ $_ := set $table $service $facts }}{{ end -}}
{{- end -}}
{{- toYaml $table -}}
{{- end }}

{{/* Labels to select by. Argument: (list $ component) */}}
{{- define "ordermesh.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: ordermesh
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* Argument: (list $ component), and the version where it may differ from the release's */}}
{{- define "ordermesh.labels" -}}
{{- $root := index . 0 -}}
{{ include "ordermesh.selector" . }}
app.kubernetes.io/version: {{ last (prepend (slice . 2) $root.Values.image.tag) | trunc 63 | trimAll "._-" | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- end }}

{{/* Pod Security Standard "restricted". Argument: user */}}
{{- define "ordermesh.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "ordermesh.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "ordermesh.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end }}

{{- define "ordermesh.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* For the claims of volumes; Kubernetes' default where nothing is said. */}}
{{- define "ordermesh.storageClass" -}}
{{- with .Values.storageClass }}
storageClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "ordermesh.etcdEndpoints" -}}
{{- $name := include "ordermesh.name" . -}}
{{- if .Values.etcd.external -}}
{{ join "," .Values.etcd.external }}
{{- else -}}
{{- range $i := until (int .Values.etcd.replicas) }}{{ if $i }},{{ end }}http://{{ $name }}-etcd-{{ $i }}.{{ $name }}-etcd:2379{{ end -}}
{{- end -}}
{{- end }}

{{- define "ordermesh.kafkaBrokers" -}}
{{- $name := include "ordermesh.name" . -}}
{{- if eq .Values.kafka.mode "strimzi" -}}
{{ $name }}-kafka-bootstrap:9093
{{- else if eq .Values.kafka.mode "embedded" -}}
{{ $name }}-kafka:9092
{{- else -}}
{{ join "," .Values.kafka.external.brokers }}
{{- end -}}
{{- end }}

{{/* Ports of addresses as host:port or URLs, as a policy wants them. Argument: list of addresses */}}
{{- define "ordermesh.ports" -}}
{{- $ports := list }}
{{- range . }}
{{- $explicit := regexFind ":[0-9]+$" (regexReplaceAll "(://[^/]*)/.*$" . "${1}") | trimPrefix ":" }}
{{- $ports = append $ports (dict "port" (int (default (ternary "443" "80" (hasPrefix "https:" .)) $explicit))) }}
{{- end }}
{{- $ports | uniq | toJson }}
{{- end }}

{{/* Passwords and URLs of all databases, for the judge. */}}
{{- define "ordermesh.databasesEnv" -}}
{{- $root := . -}}{{- $name := include "ordermesh.name" . -}}{{- $all := list -}}
{{- range $service, $facts := include "ordermesh.table" . | fromYaml }}
{{- if $facts.database }}
{{- $variable := printf "DATABASE_%s" (upper $service) }}
{{- if $root.Values.postgres.existingSecret }}
{{- $all = append $all (printf "%s=$(%s)" $service $variable) }}
{{- else }}
{{- $all = append $all (printf "%s=postgres://%s:$(%s)@%s-postgres:5432/%s" $service $service $variable $name $service) }}
{{- end }}
- name: {{ $variable }}
  valueFrom: { secretKeyRef: { name: {{ default (printf "%s-postgres" $name) $root.Values.postgres.existingSecret }}, key: {{ $service }} } }
{{- end }}
{{- end }}
- { name: MESH_DATABASES, value: {{ join " " $all | quote }} }
{{- end }}

{{/* Environment of a client of Kafka. Argument: (list $ service) */}}
{{- define "ordermesh.kafkaEnv" -}}
{{- $root := index . 0 -}}{{- $service := index . 1 -}}{{- $kafka := $root.Values.kafka -}}
{{- $name := include "ordermesh.name" $root -}}
- { name: MESH_KAFKA_BROKERS, value: {{ include "ordermesh.kafkaBrokers" $root | quote }} }
{{- if eq $kafka.mode "strimzi" }}
- { name: MESH_KAFKA_CA_FILE, value: /etc/mesh/kafka/ca.crt }
- { name: MESH_KAFKA_USERNAME, value: {{ $name }}-{{ $service }} }
- name: MESH_KAFKA_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ $name }}-{{ $service }}, key: password } }
{{- else if eq $kafka.mode "external" }}
{{- with $kafka.external.caSecret }}
- { name: MESH_KAFKA_CA_FILE, value: /etc/mesh/kafka/ca.crt }
{{- end }}
{{- with $kafka.external.passwordSecret }}
- { name: MESH_KAFKA_USERNAME, value: {{ $service }} }
- name: MESH_KAFKA_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ . }}, key: {{ $service }} } }
{{- end }}
{{- end }}
{{- end }}

{{/* Secret with the brokers' authorities; empty for no TLS. */}}
{{- define "ordermesh.kafkaCaSecret" -}}
{{- if eq .Values.kafka.mode "strimzi" -}}
{{ include "ordermesh.name" . }}-cluster-ca-cert
{{- else if eq .Values.kafka.mode "external" -}}
{{ .Values.kafka.external.caSecret }}
{{- end -}}
{{- end }}

{{/* Strimzi's images have user 1001 and files of group 0. */}}
{{- define "ordermesh.kafkaSecurity" -}}
runAsNonRoot: true
runAsUser: 1001
runAsGroup: 0
fsGroup: 0
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{/* Where the API server is, for egress rules: the addresses of the values, or those that the cluster names; anywhere while rendered without one. */}}
{{- define "ordermesh.kubernetesApi" -}}
{{- $peers := list -}}
{{- range .Values.kubernetesApi }}{{ $peers = append $peers (dict "ipBlock" (dict "cidr" .)) }}{{ end -}}
{{- if not $peers -}}
{{- $slice := lookup "discovery.k8s.io/v1" "EndpointSlice" "default" "kubernetes" -}}
{{- $bits := ternary 128 32 (eq (default "" $slice.addressType) "IPv6") -}}
{{- range $slice.endpoints }}{{ range .addresses }}{{ $peers = append $peers (dict "ipBlock" (dict "cidr" (printf "%s/%d" . (int $bits)))) }}{{ end }}{{ end -}}
{{- end -}}
{{- $rule := dict "ports" (list (dict "port" 443) (dict "port" 6443)) -}}
{{- if $peers }}{{ $_ := set $rule "to" $peers }}{{ end -}}
{{- toJson $rule -}}
{{- end }}

{{/*
Pods that may call something. Policies only ever allow, so that an experiment cuts a pod off by a label that takes it out of the policy which
lets it out. Argument: (list $ (list of components) what)
*/}}
{{- define "ordermesh.callers" -}}
{{- $root := index . 0 -}}
{{- $in := dict "key" "app.kubernetes.io/component" "operator" "In" "values" (index . 1) -}}
{{- $isCut := dict "key" "chaos.ordermesh.dev/cut" "operator" "NotIn" "values" (list (index . 2)) -}}
{{- toJson (dict "matchLabels" (dict "app.kubernetes.io/instance" $root.Release.Name) "matchExpressions" (list $in $isCut)) -}}
{{- end }}
