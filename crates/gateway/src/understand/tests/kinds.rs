//! What each kind of model server makes of its routes, and of what resembles them.

use OperationClass::{
    AdminConfig, BatchCreate, ChatCompletions, Embeddings, FilesDelete, FilesRead, FilesWrite,
    FinetuneCreate, LoraLoad, MetricsRead, ModelExport, ModelInfer, ModelLoad, ModelUnload, ModelsList,
    Rerank, Unknown,
};

use super::*;

#[track_caller]
fn is(kind: ConnectionKind, rows: &[(&str, &str, OperationClass)]) {
    for (method, path, wanted) in rows {
        let body = matches!(*method, "POST" | "PATCH" | "PUT" | "DELETE").then_some(&b"{}"[..]);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let with_body = understand(kind, method, path, query, &json_headers(), body);
        let found = with_body.or_else(|_| understand(kind, method, path, query, &HeaderMap::new(), None));
        assert_eq!(found.map(|it| it.class), Ok(*wanted), "{kind:?} {method} {path}");
    }
}

fn body(kind: ConnectionKind, method: &str, path: &str, body: &str) -> Operation {
    understand(kind, method, path, "", &json_headers(), Some(body.as_bytes())).unwrap()
}

#[test]
fn gemini_says_what_it_does_behind_a_colon() {
    let kind = ConnectionKind::Gemini;
    is(
        kind,
        &[
            ("POST", "/v1beta/models/gemini-3-pro:generateContent", ChatCompletions),
            ("POST", "/v1/models/gemini-3-pro:streamGenerateContent", ChatCompletions),
            ("POST", "/models/e:batchEmbedContents", Embeddings),
            ("POST", "/v1beta/models/m:batchGenerateContent", BatchCreate),
            ("GET", "/v1beta/models", ModelsList),
            ("POST", "/v1beta/tunedModels", FinetuneCreate),
            ("DELETE", "/v1beta/tunedModels/x", ModelUnload),
            ("POST", "/v1beta/tunedModels/x:transferOwnership", AdminConfig),
            ("POST", "/upload/v1beta/files", FilesWrite),
            ("GET", "/v1beta/files/f:download", FilesRead),
            ("DELETE", "/v1beta/files/f", FilesDelete),
            ("POST", "/v1beta/models/m:GenerateContent", Unknown),
            ("POST", "/v1beta/models/:generateContent", Unknown),
            ("POST", "/v1beta/models/a:b:generateContent", Unknown),
            ("POST", "/v1beta/models/m:deleteEverything", Unknown),
            ("POST", "/v2/models/m:generateContent", Unknown),
            ("GET", "/v1beta/models/m:generateContent", ModelsList),
        ],
    );
    assert_eq!(
        body(kind, "POST", "/v1beta/models/gemini-3-pro:generateContent", "{}").resource.model,
        "gemini-3-pro"
    );
    assert_eq!(body(kind, "POST", "/v1beta/tunedModels/mine:generateContent", "{}").resource.model, "mine");
}

#[test]
fn vllm_is_administered_on_the_port_that_infers() {
    let kind = ConnectionKind::Vllm;
    is(
        kind,
        &[
            ("POST", "/v1/chat/completions", ChatCompletions),
            ("POST", "/pooling", ModelInfer),
            ("POST", "/v1/score", Rerank),
            ("POST", "/v2/rerank", Rerank),
            ("POST", "/invocations", ModelInfer),
            ("GET", "/metrics", MetricsRead),
            ("GET", "/docs", MetricsRead),
            ("GET", "/server_info", AdminConfig),
            ("POST", "/v1/unload_lora_adapter", ModelUnload),
            ("POST", "/Sleep", Unknown),
            ("POST", "/sleep/", Unknown),
            ("GET", "/sleep", Unknown),
            ("POST", "/v1/v1/sleep", Unknown),
        ],
    );
    for admin in
        ["sleep", "wake_up", "collective_rpc", "reset_prefix_cache", "pause", "resume", "update_weights"]
    {
        is(
            kind,
            &[("POST", &format!("/{admin}"), AdminConfig), ("POST", &format!("/v1/{admin}"), AdminConfig)],
        );
    }
    let lora = body(kind, "POST", "/v1/load_lora_adapter", r#"{"lora_name": "mine", "lora_path": "/srv/x"}"#);
    assert_eq!((lora.class, lora.resource.model.as_str()), (LoraLoad, "mine"));
    assert!(
        body(
            kind,
            "POST",
            "/v1/load_lora_adapter",
            r#"{"lora_name": "m", "lora_path": "/root/.ssh/id_rsa"}"#
        )
        .touches_secret_file
    );
}

#[test]
fn tgi_and_ollama() {
    is(
        ConnectionKind::Tgi,
        &[
            ("POST", "/", ModelInfer),
            ("POST", "/generate_stream", ModelInfer),
            ("GET", "/info", MetricsRead),
            ("POST", "/v1/chat/completions", ChatCompletions),
            ("DELETE", "/generate", Unknown),
            ("POST", "/generate/x", Unknown),
        ],
    );
    let kind = ConnectionKind::Ollama;
    is(
        kind,
        &[
            ("POST", "/api/chat", ChatCompletions),
            ("POST", "/api/embed", Embeddings),
            ("GET", "/api/tags", ModelsList),
            ("POST", "/api/pull", ModelLoad),
            ("POST", "/api/push", ModelExport),
            ("DELETE", "/api/delete", ModelUnload),
            ("POST", "/api/create", ModelLoad),
            ("POST", "/api/copy", AdminConfig),
            ("HEAD", "/api/blobs/sha256:abc", FilesRead),
            ("POST", "/api/blobs/sha256:abc", FilesWrite),
            ("POST", "/api/Push", Unknown),
            ("GET", "/api/push", Unknown),
        ],
    );
    assert_eq!(
        body(kind, "POST", "/api/push", r#"{"model": "me/mine:latest"}"#).resource.model,
        "me/mine:latest"
    );
    assert_eq!(body(kind, "POST", "/api/push", r#"{"name": "me/mine"}"#).resource.model, "me/mine");
}

#[test]
fn inference_servers_of_the_open_protocol() {
    let kind = ConnectionKind::KserveV2;
    is(
        kind,
        &[
            ("POST", "/v2/models/iris/infer", ModelInfer),
            ("POST", "/v2/models/iris/versions/1/infer", ModelInfer),
            ("POST", "/v2/models/llm/generate_stream", ModelInfer),
            ("POST", "/v2/repository/index", ModelsList),
            ("POST", "/v2/repository/models/iris/load", ModelLoad),
            ("POST", "/v2/repository/models/iris/unload", ModelUnload),
            ("GET", "/v2/models/iris/config", AdminConfig),
            ("POST", "/v2/systemsharedmemory/region/x/register", AdminConfig),
            ("GET", "/v2/cudasharedmemory/status", AdminConfig),
            ("POST", "/v2/trace/setting", AdminConfig),
            ("POST", "/v2/logging", AdminConfig),
            ("POST", "/v1/models/iris:predict", ModelInfer),
            ("POST", "/predictions/iris/1.0", ModelInfer),
            ("POST", "/models?url=https://x/y.mar", ModelLoad),
            ("PUT", "/models/iris", AdminConfig),
            ("DELETE", "/models/iris", ModelUnload),
            ("POST", "/v2/repository/models/iris/Load", Unknown),
            ("POST", "/v2/repository/models/iris/load/x", Unknown),
            ("GET", "/v2/repository/models/iris/load", Unknown),
        ],
    );
    let load = body(kind, "POST", "/v2/repository/models/iris/load", r#"{"parameters": {"config": "{}"}}"#);
    assert_eq!(load.resource.model, "iris");
    // Tensors in binary pass unread; JSON is read.
    let binary = headers(&[("content-type", "application/octet-stream")]);
    let infer = "/v2/models/iris/infer";
    assert_eq!(body_need(kind, &Method::POST, infer, &binary), BodyNeed::None);
    assert_eq!(body_need(kind, &Method::POST, infer, &json_headers()), BodyNeed::Whole);
    let twice =
        understand(kind, "POST", infer, "", &json_headers(), Some(br#"{"inputs": [], "inputs": []}"#));
    assert_eq!(twice, Err(UnderstandError::JsonDuplicate));
}

#[test]
fn registries_and_hubs_export_weights() {
    let kind = ConnectionKind::Mlflow;
    is(
        kind,
        &[
            ("GET", "/api/2.0/mlflow/registered-models/search", ModelsList),
            ("GET", "/ajax-api/2.0/mlflow/runs/get", ModelsList),
            ("GET", "/api/2.0/mlflow/model-versions/get-download-uri", ModelExport),
            ("GET", "/model-versions/get-artifact?path=MLmodel", ModelExport),
            ("GET", "/get-artifact?path=plots/loss.png", FilesRead),
            ("GET", "/get-artifact?path=model/model.safetensors", ModelExport),
            ("GET", "/api/2.0/mlflow-artifacts/artifacts/1/a/artifacts/model.pt", ModelExport),
            ("GET", "/api/2.0/mlflow-artifacts/artifacts/1/a/artifacts/notes.txt", FilesRead),
            ("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/a/model.pt", FilesWrite),
            ("POST", "/api/2.0/mlflow/registered-models/delete", AdminConfig),
            ("POST", "/api/2.0/mlflow/model-versions/transition-stage", AdminConfig),
            ("POST", "/api/2.0/mlflow/users/create", AdminConfig),
            ("GET", "/org/model/resolve/main/model-00001.safetensors", ModelExport),
            ("GET", "/org/model/resolve/main/config.json", FilesRead),
            ("GET", "/org/model/resolve/main/MODEL.GGUF", ModelExport),
            ("GET", "/api/models/org/model", ModelsList),
            ("GET", "/api/2.0/mlflow/gateway-proxy", Unknown),
        ],
    );
}

#[test]
fn weights_are_an_export_wherever_a_read_names_them() {
    for kind in ConnectionKind::ALL {
        for name in ["model.safetensors", "a.gguf", "x.pt", "m.onnx", "M.ENGINE", "w.bin"] {
            let path = format!("/v1/models/small/{name}");
            let found = understand(*kind, "GET", &path, "", &HeaderMap::new(), Some(b"")).map(|it| it.class);
            assert_eq!(found, Ok(ModelExport), "{kind:?} {path}");
        }
    }
}
