{{/* The name of what belongs to this release. */}}
{{- define "tickwire.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "tickwire.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "tickwire.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "tickwire.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* By what the pods of a role are found. Call with (dict "top" $ "role" "gateway"). */}}
{{- define "tickwire.selector" -}}
app.kubernetes.io/name: {{ include "tickwire.name" .top }}
app.kubernetes.io/instance: {{ .top.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "tickwire.labels" -}}
{{ include "tickwire.selector" . }}
app.kubernetes.io/version: {{ .top.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .top.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .top.Chart.Name .top.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "tickwire.image" -}}
{{- printf "%s:%s" (required "image.repository: where is the image?" .Values.image.repository) (default .Chart.AppVersion .Values.image.tag) | quote }}
{{- end }}

{{/* Settings by name as variables. Call with a list of maps: the last one that names a setting is right. */}}
{{- define "tickwire.settings" -}}
{{- $all := dict }}
{{- range . }}
{{- range $name, $value := . }}
{{- $_ := set $all $name $value }}
{{- end }}
{{- end }}
{{- range $name, $value := $all }}
- name: TICKWIRE_{{ upper $name }}
  {{- /* Helm reads whole numbers as floats, and would show large ones as 1e+06. */}}
  {{- if and (kindIs "float64" $value) (eq (toString (floor $value)) (toString $value)) }}
  value: {{ printf "%.0f" $value | quote }}
  {{- else }}
  value: {{ $value | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{/* How the pods of one role keep out of one another's way. Call with (dict "top" $ "role" … "of" values). */}}
{{- define "tickwire.affinity" -}}
{{- if .of.affinity }}
{{- toYaml .of.affinity }}
{{- else -}}
podAntiAffinity:
  {{- if eq .of.antiAffinity "required" }}
  requiredDuringSchedulingIgnoredDuringExecution:
    - topologyKey: kubernetes.io/hostname
      labelSelector:
        matchLabels:
          {{- include "tickwire.selector" . | nindent 10 }}
  {{- else }}
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "tickwire.selector" . | nindent 12 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "tickwire.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* The scheme that clients and probes speak. */}}
{{- define "tickwire.scheme" -}}
{{- $settings := merge (dict) .Values.gateway.settings .Values.settings }}
{{- if or $settings.tls_cert $settings.tls_self_signed }}HTTPS{{ else }}HTTP{{ end }}
{{- end }}

{{/* A pod of a role. Call with (dict "top" $ "role" "market" "of" values "grace" seconds "drain" seconds). What is
there for gateways alone stands behind `eq .role "gateway"`. */}}
{{- define "tickwire.pod" -}}
{{- $top := .top -}}
metadata:
  labels:
    {{- include "tickwire.labels" . | nindent 4 }}
  {{- with .of.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  # Else Kubernetes sets TICKWIRE_PORT and others for a Service of that name, which would be taken for settings.
  enableServiceLinks: false
  automountServiceAccountToken: false
  {{- with $top.Values.serviceAccountName }}
  serviceAccountName: {{ . }}
  {{- end }}
  {{- with $top.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .of.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ .grace }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  affinity:
    {{- include "tickwire.affinity" . | nindent 4 }}
  {{- with .of.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .of.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  initContainers:
    # The key of the tokens lies in the data directory, where it is its owner's alone; a mounted secret is not. Nor is
    # the root of a volume, so that directory is one in it.
    - name: token-key
      image: {{ include "tickwire.image" $top }}
      imagePullPolicy: {{ $top.Values.image.pullPolicy }}
      command:
        - sh
        - -euc
        - |
          umask 077
          mkdir -p /var/lib/tickwire/data
          cp /run/token-key/token.key /var/lib/tickwire/data/token.key.new
          mv /var/lib/tickwire/data/token.key.new /var/lib/tickwire/data/token.key
      securityContext:
        {{- include "tickwire.containerSecurity" . | nindent 8 }}
      resources:
        requests: {cpu: 10m, memory: 16Mi}
        limits: {memory: 64Mi}
      volumeMounts:
        - name: data
          mountPath: /var/lib/tickwire
        - name: token-key
          mountPath: /run/token-key
          readOnly: true
  containers:
    - name: tickwire
      image: {{ include "tickwire.image" $top }}
      imagePullPolicy: {{ $top.Values.image.pullPolicy }}
      args: [serve]
      env:
        - name: TICKWIRE_ROLE
          value: {{ .role }}
        - name: TICKWIRE_CLUSTER
          value: {{ default $top.Release.Name $top.Values.cluster | quote }}
        - name: TICKWIRE_NODE
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        - name: TICKWIRE_BUS
          value: {{ required "bus.urls: where is NATS?" (join "," $top.Values.bus.urls) | quote }}
        {{- if $top.Values.bus.credentials.secret }}
        - name: TICKWIRE_BUS_CREDENTIALS
          value: /run/bus/credentials
        {{- end }}
        {{- if $top.Values.bus.ca.secret }}
        - name: TICKWIRE_BUS_CA
          value: /run/bus-ca/ca.pem
        {{- end }}
        - name: TICKWIRE_DATABASE
          value: {{ required "database.url: where is PostgreSQL?" $top.Values.database.url | quote }}
        {{- with $top.Values.database.password }}
        {{- if .secret }}
        - name: PGPASSWORD
          valueFrom:
            secretKeyRef:
              name: {{ .secret }}
              key: {{ .key }}
        {{- end }}
        {{- end }}
        - name: TICKWIRE_DATA_DIR
          value: /var/lib/tickwire/data
        - name: TICKWIRE_DRAIN_SECONDS
          value: {{ .drain | quote }}
        {{- with include "tickwire.settings" (list $top.Values.settings .of.settings) | trim }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with .of.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- if eq .role "gateway" }}
      ports:
        - name: clients
          containerPort: 8600
      {{- $scheme := include "tickwire.scheme" $top }}
      startupProbe:
        httpGet: {path: /healthz, port: clients, scheme: {{ $scheme }}}
        {{- toYaml .of.probes.startup | nindent 8 }}
      readinessProbe:
        httpGet: {path: /readyz, port: clients, scheme: {{ $scheme }}}
        {{- toYaml .of.probes.readiness | nindent 8 }}
      livenessProbe:
        httpGet: {path: /healthz, port: clients, scheme: {{ $scheme }}}
        {{- toYaml .of.probes.liveness | nindent 8 }}
      lifecycle:
        preStop:
          exec:
            command: [sleep, {{ .of.preStopSeconds | quote }}]
      {{- end }}
      securityContext:
        {{- include "tickwire.containerSecurity" . | nindent 8 }}
      resources:
        {{- toYaml .of.resources | nindent 8 }}
      volumeMounts:
        - name: data
          mountPath: /var/lib/tickwire
        - name: tmp
          mountPath: /tmp
        {{- if $top.Values.bus.credentials.secret }}
        - name: bus
          mountPath: /run/bus
          readOnly: true
        {{- end }}
        {{- if $top.Values.bus.ca.secret }}
        - name: bus-ca
          mountPath: /run/bus-ca
          readOnly: true
        {{- end }}
        {{- with .of.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    {{- if not .persistent }}
    - name: data
      emptyDir: {}
    {{- end }}
    - name: tmp
      emptyDir: {}
    - name: token-key
      secret:
        secretName: {{ required "tokenKey.secret: where is the key of the tokens?" $top.Values.tokenKey.secret }}
        items:
          - key: {{ $top.Values.tokenKey.key }}
            path: token.key
    {{- with $top.Values.bus.credentials }}
    {{- if .secret }}
    - name: bus
      secret:
        secretName: {{ .secret }}
        items:
          - key: {{ .key }}
            path: credentials
    {{- end }}
    {{- end }}
    {{- with $top.Values.bus.ca }}
    {{- if .secret }}
    - name: bus-ca
      secret:
        secretName: {{ .secret }}
        items:
          - key: {{ .key }}
            path: ca.pem
    {{- end }}
    {{- end }}
    {{- with .of.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
