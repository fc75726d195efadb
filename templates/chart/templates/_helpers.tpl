{{/* Names and labels, and what of the controller's file is the chart's. */}}
{{- define "vishwa.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "vishwa.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "vishwa.labels" -}}
{{ include "vishwa.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "vishwa.account" -}}
{{- if .Values.serviceAccount.name }}{{ .Values.serviceAccount.name }}{{ else if .Values.serviceAccount.create }}{{ include "vishwa.name" . }}{{ else }}default{{ end }}
{{- end }}

{{/* Whether webhooks are served; the empty string is no. */}}
{{- define "vishwa.webhooks" -}}
{{- if .Values.secrets.webhook }}yes{{ end }}
{{- end }}

{{/* The port of health and metrics. */}}
{{- define "vishwa.inner" -}}8701{{- end }}

{{/* The controller's file. */}}
{{- define "vishwa.config" -}}
{{- $config := deepCopy .Values.config }}
{{- range list "listen" "metrics" "webhook" "state" "keys" "keyPassword" "sealKey" }}
{{- if hasKey $config . }}{{ fail (printf "config.%s is the chart's own: see secrets and service" .) }}{{ end }}
{{- end }}
{{- $own := dict "state" "/var/lib/vishwa/controller" "keys" "/etc/vishwa/keys" }}
{{- if .Values.secrets.keyPassword }}{{ $_ := set $own "keyPassword" (dict "file" "secrets/keyPassword") }}{{ end }}
{{- if .Values.secrets.sealKey }}{{ $_ := set $own "sealKey" (dict "file" "secrets/sealKey") }}{{ end }}
{{- if include "vishwa.webhooks" . }}
{{- $hook := dict "secret" (dict "file" "secrets/webhook") }}
{{- if .Values.secrets.webhookPrevious }}{{ $_ := set $hook "previous" (dict "file" "secrets/webhookPrevious") }}{{ end }}
{{- $_ := set $own "webhook" $hook }}
{{- $_ := set $own "listen" ":8700" }}
{{- $_ := set $own "metrics" (dict "listen" (printf ":%s" (include "vishwa.inner" .))) }}
{{- else }}
{{- $_ := set $own "webhook" (dict "off" true) }}
{{- $_ := set $own "listen" (printf ":%s" (include "vishwa.inner" .)) }}
{{- end }}
{{- if gt (int .Values.replicas) 1 }}
{{- $shared := deepCopy (default dict $config.replicas) }}
{{- if and (include "vishwa.webhooks" .) $shared.repository (not $shared.peers) }}
{{- $_ := set $shared "peers" (list (printf "%s-replicas.%s.svc:8700" (include "vishwa.name" .) .Release.Namespace)) }}
{{- end }}
{{- if $shared }}{{ $_ := set $own "replicas" $shared }}{{ end }}
{{- end }}
{{- toYaml (dict "apiVersion" "vishwa.dev/v1alpha1" "kind" "Controller" "spec" (merge $own $config)) }}
{{- end }}

{{/* What a set of values must be as a whole. */}}
{{- define "vishwa.check" -}}
{{- if gt (int .Values.replicas) 1 }}
{{- if .Values.persistence.enabled }}{{ fail "several replicas have no volume in common: set persistence.enabled to false, and give each Project a store in S3" }}{{ end }}
{{- if not .Values.secrets.sealKey }}{{ fail "several replicas need secrets.sealKey: without it, one does not find the runs of another" }}{{ end }}
{{- if not (dig "replicas" "repository" "" .Values.config) }}{{ fail "several replicas need config.replicas.repository, where they find each other" }}{{ end }}
{{- end }}
{{- range $file, $from := .Values.secrets.files }}
{{- if has $file (list "keyPassword" "sealKey" "webhook" "webhookPrevious") }}{{ fail (printf "secrets.files.%s is the chart's own: give secrets.%s" $file $file) }}{{ end }}
{{- end }}
{{- $may := dict }}
{{- range .Values.config.repositories }}{{ range .clusters }}{{ if not .context }}{{ range .namespaces }}{{ $_ := set $may . true }}{{ end }}{{ end }}{{ end }}{{ end }}
{{- range concat .Values.runners .Values.serving }}
{{- if not (hasKey $may .namespace) }}{{ fail (printf "no repository may use the namespace %s: give it to one, as clusters: [{namespaces: [%s]}] in config.repositories" .namespace .namespace) }}{{ end }}
{{- end }}
{{- $seen := dict }}
{{- range .Values.runners }}
{{- if hasKey $seen .namespace }}{{ fail (printf "runners lists the namespace %s twice" .namespace) }}{{ end }}
{{- $_ := set $seen .namespace true }}
{{- end }}
{{- $seen = dict }}
{{- range .Values.serving }}
{{- if hasKey $seen .namespace }}{{ fail (printf "serving lists the namespace %s twice" .namespace) }}{{ end }}
{{- $_ := set $seen .namespace true }}
{{- end }}
{{- end }}
