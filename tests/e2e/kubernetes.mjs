// kubernetes.mjs - the kinds of objects that server/deploy/kubernetes has, with their validators.
import { StatefulSet } from "kubernetes-models/apps/v1";
import { HorizontalPodAutoscaler } from "kubernetes-models/autoscaling/v2";
import { NetworkPolicy } from "kubernetes-models/networking.k8s.io/v1";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1";
import { Namespace, Service } from "kubernetes-models/v1";

const kinds = { StatefulSet, HorizontalPodAutoscaler, NetworkPolicy, PodDisruptionBudget, Namespace, Service };

// validate - throws what does not fit.
export function validate(object) {
    const kind = kinds[object.kind];
    if (!kind) throw new Error(`${object.kind}: no validator; add it to tests/e2e/kubernetes.mjs`);
    new kind(object).validate();
}
