{{- define "aisa.labels" -}}
app.kubernetes.io/name: aisa
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "aisa.shared" -}}
{{- if .Values.stores.databaseSecret -}}yes{{- end -}}
{{- end -}}
