"""Lists, watches, patches and deletes with the Python client's defaults; argument: kubeconfig."""

import sys
import threading

from kubernetes import client, config, dynamic, watch


def watched(core, seen, ready):
    """Collects event types until the object is deleted."""
    started = core.list_namespaced_config_map("default")
    ready.set()
    stream = watch.Watch().stream(
        core.list_namespaced_config_map,
        "default",
        resource_version=started.metadata.resource_version,
        timeout_seconds=30,
    )
    for event in stream:
        if event["object"].metadata.name != "tour":
            continue
        seen.append((event["type"], event["object"].data))
        if event["type"] == "DELETED":
            return


def config_maps(core):
    seen, ready = [], threading.Event()
    thread = threading.Thread(target=watched, args=(core, seen, ready))
    thread.start()
    assert ready.wait(30), "the watcher's list is answered"
    body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="tour"), data={"a": "1"})
    made = core.create_namespaced_config_map("default", body)
    assert made.metadata.uid and made.metadata.resource_version
    core.patch_namespaced_config_map("tour", "default", {"data": {"b": "2"}})
    listed = core.list_namespaced_config_map("default", field_selector="metadata.name=tour")
    assert [item.data for item in listed.items] == [{"a": "1", "b": "2"}]
    core.delete_namespaced_config_map("tour", "default")
    thread.join(30)
    assert not thread.is_alive(), "the watch saw the end"
    assert seen == [
        ("ADDED", {"a": "1"}),
        ("MODIFIED", {"a": "1", "b": "2"}),
        ("DELETED", {"a": "1", "b": "2"}),
    ], seen


def pages(core):
    names = [f"page-{i}" for i in range(5)]
    for name in names:
        core.create_namespaced_config_map(
            "default", client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"tour": "pages"}))
        )
    found, token = [], None
    while True:
        page = core.list_namespaced_config_map("default", label_selector="tour=pages", limit=2, _continue=token)
        found += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert found == names, found
    core.delete_collection_namespaced_config_map("default", label_selector="tour=pages")
    assert not core.list_namespaced_config_map("default", label_selector="tour=pages").items


def workloads(apps):
    labels = {"app": "tour"}
    container = client.V1Container(name="c", image="portolan/echo", ports=[client.V1ContainerPort(container_port=8080)])
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=[container])
    )
    spec = client.V1DeploymentSpec(replicas=1, selector=client.V1LabelSelector(match_labels=labels), template=template)
    apps.create_namespaced_deployment(
        "default", client.V1Deployment(metadata=client.V1ObjectMeta(name="tour"), spec=spec)
    )
    for event in watch.Watch().stream(apps.list_namespaced_deployment, "default", timeout_seconds=60):
        if event["object"].metadata.name == "tour" and event["object"].status.ready_replicas == 1:
            break
    else:
        raise AssertionError("the Deployment did not become ready")
    scaled = apps.patch_namespaced_deployment_scale("tour", "default", {"spec": {"replicas": 0}})
    assert not scaled.spec.replicas, "0 is left out of the JSON"
    apps.delete_namespaced_deployment("tour", "default")


def errors(core):
    try:
        core.read_namespaced_service("nope", "default")
    except client.ApiException as error:
        assert error.status == 404 and "not found" in error.body
    else:
        raise AssertionError("a missing Service was read")


def custom(api):
    """The dynamic client finds a new kind by discovery and applies on the server's side."""
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 3}}}},
    }
    names = {"plural": "tours", "singular": "tour", "kind": "Tour", "listKind": "TourList"}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "tours.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": names,
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }
    extensions = client.ApiextensionsV1Api(api)
    extensions.create_custom_resource_definition(definition)
    stream = watch.Watch().stream(extensions.list_custom_resource_definition, timeout_seconds=30)
    for event in stream:
        status = event["object"].status
        conditions = (status and status.conditions) or []
        if any(c.type == "Established" and c.status == "True" for c in conditions):
            break
    tours = dynamic.DynamicClient(api).resources.get(api_version="example.com/v1", kind="Tour")
    body = {"apiVersion": "example.com/v1", "kind": "Tour", "metadata": {"name": "t"}, "spec": {}}
    made = tours.server_side_apply(body=body, namespace="default", field_manager="tour")
    assert made.spec.size == 3, made
    assert [item.metadata.name for item in tours.get(namespace="default").items] == ["t"]
    tours.delete(name="t", namespace="default")
    extensions.delete_custom_resource_definition("tours.example.com")


def main(kubeconfig):
    api = config.new_client_from_config(kubeconfig)
    config_maps(client.CoreV1Api(api))
    pages(client.CoreV1Api(api))
    workloads(client.AppsV1Api(api))
    errors(client.CoreV1Api(api))
    custom(api)
    print("done")


main(sys.argv[1])
