// Package inference runs ONNX models on images: encoded images in, scores and tensors out. It knows no rows, no users,
// no GraphQL and no HTTP.
//
// An Engine is the only way in. It reads a model repository, <model>/<version>/model.onnx with an optional
// <model>/config.yaml and labels.txt, and answers requests like this:
//
//	Engine.Predict(ctx, model, version, image)
//	   │ Acquire        leases a version: by number, else the one that serves  ErrModelNotFound, ErrModelNotReady …
//	   ▼
//	decoder             a permit a core; sniff, check the pixels, decode       ErrUnsupportedMediaType, ErrInvalidImage,
//	   │ Preprocessor   trim, resize, colour, invert, scale → FP32 tensor      ErrImageTooLarge
//	   ▼
//	task                one image's tensor in and tensors out, memory reused
//	   ▼
//	batcher             at once on an idle instance, with those about to come; ErrOverloaded, ErrClosed
//	   │                else in order with others
//	   │ batch          who waits for it may leave; when it fails, one by one
//	   ▼
//	instances           each with tensors of its own for 1, 2, 4 … images, in the model's datatype
//	   │ binding        an instance's memory for one such bucket, and the means to stop its run
//	   ▼
//	session             ONNX Runtime, one session a version, shared by all runs, on one execution provider
//	   │
//	   ▼
//	Result              every output as JSON; Scores and Values read these, fresh or stored, the same way
//
// A version comes to life in loader.load, and is immutable from then on:
//
//	LOADING ─► config.yaml ─► model.onnx ─► labels.txt ─► input ─► session ─► warm-up ─► output ─► tuned ─► admitted
//	   │                                                                                                       ▼
//	   └──── the first that fails tells the reason ────► FAILED                                               READY
//
// Class names that no labels.txt gives are looked for once the warm-up has told how many there are: in the model file's
// metadata and classifier, then in a config.json of Hugging Face's beside it. They are the version's like others, except
// where it has predicted without them.
//
// A lifecycle keeps the versions in step with the files, which a watcher looks at once they have been quiet:
//
//	new or changed files ─► loader.load ─► READY: swapped into the catalog; what was there drains: its last lease frees it
//	                                   └─► FAILED: shown as such; what was there goes on answering
//	files gone           ─► RETIRED: out of the catalog, and drains
//	out of reach         ─► LOADING: tried again
//
// The catalog is an immutable picture of all models that requests read without a lock. SetRoutes, and `versions` in
// config.yaml, choose which of the READY versions serves and which shadows it.
//
// Tuning finds out which batches the model can take and whether they help: an image of a batch must get the answer
// that it gets alone, in nine tenths of the time at most, or each request runs by itself. On a GPU all that work are
// kept, and `dynamic_batching` in config.yaml asks for batches whatever they cost. A model that decides by what it is
// given which nodes run, or how often, decides that for all images of a run; and of one that finds as many boxes as
// there are, what two pictures get says little of the next. These are not tried. What ran is in Engine.Statistics.
//
// The session is opened on the best execution provider that can be had (provider.go) and takes the model. A GPU's is
// proved before by a small model that may run nowhere else (proof.go), and runs a model only where at least some of its
// nodes are there (placement.go).
//
// Before a version's session is opened here, probe has it loaded and run in a process of its own: ONNX Runtime can be
// made to end the process that it runs in, or to keep it for ever. That is on the CPU: where a GPU comes first, what the
// CPU refuses in good order is no reason.
//
// What a model says of itself is read from its file (onnx.go) before ONNX Runtime sees it, because a stranger's file
// must not name other files of this host; what the file leaves open comes from the configuration, and the two must not
// contradict each other. Only session.go, target.go, binding.go and native.go know ONNX Runtime, and only instances
// know these: for the batcher they are an executor, whose place remote takes for a model with `remote` in its
// config.yaml:
//
//	remote              one request for what waits; its answer is not trusted   ErrUnavailable
//	   │ breaker        a server that is away is not asked, but probed
//	   ▼
//	remoteChannel       the Open Inference Protocol over gRPC: Triton, KServe, MLServer
//
// Such a version is loaded from the server's metadata instead of a file; while the server is away it stays LOADING.
// It is LOADING again while the server has another model in its place. Such models are loaded beside the others, which
// are loaded one after the other, since each is measured.
//
// How bytes become a tensor is package picture's; a permit to do so is the decoder's.
package inference
