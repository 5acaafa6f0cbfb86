//! Interface 1.1, as it might come: one operation more, appended with a default body.

include!("../core_edits.rs");

fn main() {
    copy_with(&[
        (
            "backend.rs",
            "    /// Called once, last, after every instance was terminated.",
            "    /// Says that it is there.
    async fn ping(&self, _cx: &CallContext) -> Result<String> {
        Err(BackendError::unsupported(\"ping\"))
    }

",
        ),
        (
            "abi/interface.rs",
            "    // Interface 1.1 and later append here",
            "    fn ping(&self, cx: AbiCallContext) -> AbiFuture<RString> {
        drop(cx);
        let error = crate::BackendError::unsupported(\"ping\");
        async_ffi::FutureExt::into_ffi(async { RResult::RErr(crate::abi::Wire::into_abi(error)) })
    }
",
        ),
        (
            "export/adapter.rs",
            "    fn shutdown(&self, cx: AbiCallContext)",
            "    fn ping(&self, cx: AbiCallContext) -> AbiFuture<RString> {
        self.call(\"ping\", cx, |backend, cx| async move { backend.ping(&cx).await })
    }

",
        ),
        (
            "foreign/backend.rs",
            "    async fn shutdown(&self, cx: &CallContext)",
            "    async fn ping(&self, cx: &CallContext) -> Result<String> {
        value(self.object.ping(cx.clone().into_abi())).await
    }

",
        ),
        ("abi/descriptor.rs", "0;\n\nconst MAGIC", "1 + "),
    ]);
}
