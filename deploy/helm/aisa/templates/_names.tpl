{{- define "aisa.labels" -}}
app.kubernetes.io/name: aisa
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "aisa.shared" -}}
{{- if .Values.stores.databaseSecret -}}yes{{- end -}}
{{- end -}}

{{/* What is in aisa.yaml: the chart's two drains and proxies, and whatever `config` says, of these too. */}}
{{- define "aisa.config" -}}
{{- $drain := dict "drain_grace_seconds" .Values.drain.graceSeconds "drain_seconds" .Values.drain.seconds -}}
{{- with .Values.trustedProxies }}{{ $_ := set $drain "trusted_proxies" . }}{{ end -}}
{{- mergeOverwrite (dict "server" $drain) (deepCopy .Values.config) | toYaml -}}
{{- end -}}
