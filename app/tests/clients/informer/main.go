// An ordinary client-go program: a shared informer with a lister, a work queue, events, and leader
// election by Lease. Argument: kubeconfig. It labels each ConfigMap that asks for it and ends when
// the one named "last" has its label.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
)

const label = "example.com/seen"

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	check(err)
	client, err := kubernetes.NewForConfig(config)
	check(err)
	lock := &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: "default", Name: "informer"},
		Client:     client.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: "me"},
	}
	leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
		Lock: lock, LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: time.Second,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) { lead(ctx, client); cancel() },
			OnStoppedLeading: func() {},
		},
	})
}

func lead(ctx context.Context, client *kubernetes.Clientset) {
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typedcore.EventSinkImpl{Interface: client.CoreV1().Events("")})
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "informer"})
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]())
	factory := informers.NewSharedInformerFactory(client, 0)
	maps := factory.Core().V1().ConfigMaps()
	add := func(object any) {
		if key, err := cache.MetaNamespaceKeyFunc(object); err == nil {
			queue.Add(key)
		}
	}
	maps.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: add, UpdateFunc: func(_, object any) { add(object) },
	})
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	fmt.Println("synced")
	for {
		key, stop := queue.Get()
		if stop || ctx.Err() != nil {
			check(fmt.Errorf("ended before the last one: %v", ctx.Err()))
		}
		namespace, name, _ := cache.SplitMetaNamespaceKey(key)
		object, err := maps.Lister().ConfigMaps(namespace).Get(name)
		queue.Done(key)
		if err != nil || object.Labels["watch"] != "yes" {
			continue
		}
		if object.Labels[label] == "" {
			patch := []byte(`{"metadata":{"labels":{"` + label + `":"yes"}}}`)
			_, err = client.CoreV1().ConfigMaps(namespace).Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
			check(err)
			recorder.Event(object, corev1.EventTypeNormal, "Seen", "the informer saw it")
			continue
		}
		if name == "last" {
			waitForEvent(ctx, client, namespace)
			fmt.Println("done")
			return
		}
	}
}

func waitForEvent(ctx context.Context, client *kubernetes.Clientset, namespace string) {
	for ctx.Err() == nil {
		selector := metav1.ListOptions{FieldSelector: "involvedObject.name=last,reason=Seen"}
		events, err := client.CoreV1().Events(namespace).List(ctx, selector)
		check(err)
		if len(events.Items) > 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
