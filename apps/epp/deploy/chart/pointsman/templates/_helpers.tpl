{{/* Name of the Deployment and what belongs to it. */}}
{{- define "pointsman.fullname" -}}
{{- default (printf "%s-epp" .Release.Name) .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What the pool is called: in standalone mode the picker takes the name of its Deployment. */}}
{{- define "pointsman.pool" -}}
{{- if eq .Values.mode "gateway" -}}
{{- default .Release.Name .Values.pool.name -}}
{{- else -}}
{{- include "pointsman.fullname" . -}}
{{- end -}}
{{- end -}}

{{- define "pointsman.serviceAccount" -}}
{{- default (include "pointsman.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* Objects of the cluster need the namespace in their names. */}}
{{- define "pointsman.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "pointsman.fullname" .) -}}
{{- end -}}

{{- define "pointsman.selectorLabels" -}}
app.kubernetes.io/name: pointsman
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: epp
{{- end -}}

{{- define "pointsman.envoySelectorLabels" -}}
app.kubernetes.io/name: pointsman
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: envoy
{{- end -}}

{{- define "pointsman.commonLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "pointsman.labels" -}}
{{ include "pointsman.selectorLabels" . }}
{{ include "pointsman.commonLabels" . }}
{{- end -}}

{{- define "pointsman.envoyLabels" -}}
{{ include "pointsman.envoySelectorLabels" . }}
{{ include "pointsman.commonLabels" . }}
{{- end -}}

{{/* Reference of an image; takes a list of the image's values and the default tag. */}}
{{- define "pointsman.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default (index . 1) $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* "true" when one of several replicas leads. */}}
{{- define "pointsman.elects" -}}
{{- if eq (toString .Values.leaderElection) "auto" -}}
{{- gt (int .Values.replicas) 1 -}}
{{- else -}}
{{- .Values.leaderElection -}}
{{- end -}}
{{- end -}}

{{/* The data plane of standalone mode, empty in gateway mode. */}}
{{- define "pointsman.dataPlane" -}}
{{- if eq .Values.mode "standalone" -}}{{- .Values.standalone.dataPlane -}}{{- end -}}
{{- end -}}

{{/* What values alone cannot rule out. */}}
{{- define "pointsman.validate" -}}
{{- $needsSelector := or (eq .Values.mode "standalone") .Values.pool.create -}}
{{- if and $needsSelector (not .Values.pool.selector) -}}
{{- fail "pool.selector is empty: set the labels of the model servers' pods, for instance --set pool.selector.app=vllm" -}}
{{- end -}}
{{/* Kubernetes shortens the names of pods: behind 47 characters the ReplicaSet's hash is cut off. */}}
{{- if and (eq .Values.mode "standalone") (gt (len (include "pointsman.fullname" .)) 47) -}}
{{- fail (printf "the Deployment's name %s has more than 47 characters: in standalone mode the pool is called after it, and pods of longer names do not show it; set fullnameOverride" (include "pointsman.fullname" .)) -}}
{{- end -}}
{{- if and .Values.metrics.tls.clientCa.secretName (not .Values.metrics.tls.secretName) -}}
{{- fail "metrics.tls.clientCa.secretName needs metrics.tls.secretName: without TLS there are no client certificates" -}}
{{- end -}}
{{- $monitor := .Values.metrics.serviceMonitor -}}
{{- if and $monitor.enabled .Values.metrics.tls.clientCa.secretName (not $monitor.clientSecretName) -}}
{{- fail "metrics.tls.clientCa.secretName needs metrics.serviceMonitor.clientSecretName while metrics.serviceMonitor.enabled is true: without a certificate Prometheus cannot read the page" -}}
{{- end -}}
{{- if and .Values.metrics.tls.secretName (not .Values.metrics.auth) (not .Values.metrics.tls.clientCa.secretName) -}}
{{- fail "metrics.tls.secretName needs metrics.auth or metrics.tls.clientCa.secretName: TLS alone keeps nobody out" -}}
{{- end -}}
{{- if and .Values.tls.secretName (not .Values.tls.enabled) -}}
{{- fail "tls.secretName has no effect while tls.enabled is false" -}}
{{- end -}}
{{- if lt (int .Values.terminationGracePeriodSeconds) (add (int .Values.drainSeconds) 90 | int) -}}
{{- fail (printf "terminationGracePeriodSeconds is %d: drainSeconds (%d) and 90 seconds for open requests do not fit in" (int .Values.terminationGracePeriodSeconds) (int .Values.drainSeconds)) -}}
{{- end -}}
{{- end -}}

{{/* A flag's value as text. Numbers of a values file are floats: 1000000 would be 1e+06. */}}
{{- define "pointsman.flagValue" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}
{{- int64 . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{/* Selector of pods as one text: a=b,c=d. */}}
{{- define "pointsman.selectorText" -}}
{{- $terms := list -}}
{{- range $key, $value := .Values.pool.selector -}}
{{- $terms = append $terms (printf "%s=%s" $key $value) -}}
{{- end -}}
{{- join "," $terms -}}
{{- end -}}

{{/* Security of every container. */}}
{{- define "pointsman.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "pointsman.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* The container of Envoy, without name. */}}
{{- define "pointsman.envoyContainer" -}}
{{- $envoy := .Values.standalone.envoy -}}
image: {{ include "pointsman.image" (list $envoy.image "") | quote }}
imagePullPolicy: {{ $envoy.image.pullPolicy }}
command: [/usr/local/bin/envoy]
args: [--config-path, /etc/envoy/envoy.yaml, --disable-hot-restart, --log-level, {{ $envoy.logLevel }}]
ports:
  - name: http
    containerPort: {{ .Values.standalone.port }}
readinessProbe:
  tcpSocket:
    port: http
  periodSeconds: 2
securityContext:
  {{- include "pointsman.securityContext" . | nindent 2 }}
resources:
  {{- toYaml $envoy.resources | nindent 2 }}
volumeMounts:
  - name: envoy-config
    mountPath: /etc/envoy
    readOnly: true
{{- end -}}

{{/* Envoy's bootstrap. files/envoy.tpl is made out of what `epp envoy-config` prints. */}}
{{- define "pointsman.envoyBootstrap" -}}
{{- $sidecar := eq .Values.standalone.dataPlane "EnvoySidecar" -}}
{{- $address := ternary "127.0.0.1" (printf "%s.%s.svc" (include "pointsman.fullname" .) .Release.Namespace) $sidecar -}}
{{- $facts := dict "address" $address "clusterType" (ternary "STATIC" "STRICT_DNS" $sidecar) -}}
{{- tpl (.Files.Get "files/envoy.tpl") (dict "Template" .Template "Values" .Values "picker" $facts) -}}
{{- end -}}
