{{- define "aisa.labels" -}}
app.kubernetes.io/name: aisa
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "aisa.shared" -}}
{{- if .Values.stores.databaseSecret -}}yes{{- end -}}
{{- end -}}

{{/* What is in aisa.yaml: the chart's two drains, and whatever `config` says, of drains too. */}}
{{- define "aisa.config" -}}
{{- $drain := dict "drain_grace_seconds" .Values.drain.graceSeconds "drain_seconds" .Values.drain.seconds -}}
{{- mergeOverwrite (dict "server" $drain) (deepCopy .Values.config) | toYaml -}}
{{- end -}}
