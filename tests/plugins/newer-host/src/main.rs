//! A host of interface 1.1. Joins the plugin in the file that it is given, launches an instance, and calls the
//! operation that the plugin may not know.

use std::error::Error;
use std::ffi::c_void;
use std::sync::Arc;

use hearth_core_next::foreign::{Descriptor, ForeignModule, ROOT_SYMBOL};
use hearth_core_next::{Backend as _, CallContext, Event, HostInfo, HostSink, LaunchSpec, Progress};
use libloading::Library;

struct Nowhere;

impl HostSink for Nowhere {
    fn event(&self, _event: Event) {}

    fn progress(&self, _progress: Progress) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("give me a plugin's file")?;
    let module = join(&path.to_string_lossy())?;
    let backend = module.create("", HostInfo::default(), Arc::new(Nowhere)).await?;
    let spec = LaunchSpec { instance_id: "i-1".to_owned(), ..LaunchSpec::default() };
    let launched = backend.launch(&CallContext::default(), &spec).await?;
    println!("launched {}", launched.handle);
    match backend.ping(&CallContext::default()).await {
        Ok(answer) => println!("ping: {answer}"),
        Err(error) => println!("ping: {:?} {error}", error.kind),
    }
    Ok(())
}

fn join(path: &str) -> Result<ForeignModule, Box<dyn Error>> {
    // SAFETY: the file is a plugin that was built for this test.
    let library = unsafe { Library::new(path)? };
    // SAFETY: as above; a descriptor is 256 bytes long.
    let record = unsafe { library.get::<*const [u8; 256]>("HEARTH_BACKEND_DESCRIPTOR")?.as_ref() };
    let descriptor = record.and_then(|record| Descriptor::parse(record)).ok_or("no descriptor")?;
    // SAFETY: as above.
    let root = unsafe { *library.get::<*const c_void>(ROOT_SYMBOL)? };
    std::mem::forget(library);
    println!("plugin {}.{}", descriptor.abi_major, descriptor.abi_minor);
    // SAFETY: the library was just made to stay.
    Ok(unsafe { ForeignModule::join(root, &descriptor, "off")? })
}
