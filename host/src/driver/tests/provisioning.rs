//! Provisioned concurrency: what is launched for it, and what is told of it.

use super::*;

impl World {
    fn provision(&self, target: &Arc<Target>, provisioned: u32) {
        self.driver.deployed(target, Limits { reserved: None, provisioned });
    }

    /// Ready instances, and why the last one could not be made ready.
    fn told(&self, target: &Target) -> String {
        let Provisioning { ready, failure } = self.driver.provisioning(target);
        match failure {
            None => format!("{ready} ready"),
            Some(ProvisioningFailure::Init) => format!("{ready} ready, init failed"),
            Some(ProvisioningFailure::Launch(error)) => format!("{ready} ready, {}", error.message),
        }
    }

    fn initializations(&self) -> Vec<String> {
        std::mem::take(&mut self.fake.initializations.lock().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn instances_of_one_kind_do_not_go_on_as_instances_of_the_other() {
    let world = World::new(Fake::default());
    let target = world.deploy(0, None);
    world.acquire(&target).await.unwrap().begin().finish();
    assert_eq!(world.initializations(), ["on-demand"]);
    world.provision(&target, 2);
    tokio::time::sleep(LAUNCH + Duration::from_millis(1)).await;
    assert_eq!((world.told(&target).as_str(), world.fake.alive()), ("2 ready", 2));
    assert_eq!(world.initializations(), ["provisioned-concurrency"; 2]);
    world.provision(&target, 3);
    tokio::time::sleep(LAUNCH + Duration::from_millis(1)).await;
    assert_eq!((world.told(&target).as_str(), world.initializations().len()), ("3 ready", 1));
    world.provision(&target, 0);
    world.acquire(&target).await.unwrap().begin().finish();
    assert_eq!((world.initializations(), world.fake.alive()), (vec!["on-demand".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn a_launch_or_an_init_that_fails_is_told_until_one_succeeds() {
    let world = World::new(Fake { uninitialized: BTreeSet::from([0]), ..Fake::default() });
    let target = world.deploy(0, None);
    world.provision(&target, 1);
    assert_eq!(world.told(&target), "0 ready");
    tokio::time::sleep(LAUNCH + Duration::from_millis(1)).await;
    assert_eq!((world.told(&target).as_str(), world.fake.alive()), ("0 ready, init failed", 0));
    tokio::time::sleep(2 * LAUNCH).await;
    assert_eq!((world.told(&target).as_str(), world.fake.alive()), ("1 ready", 1));

    let world = World::new(Fake { failing: BTreeSet::from([0]), ..Fake::default() });
    let target = world.deploy(0, None);
    world.provision(&target, 1);
    tokio::time::sleep(LAUNCH + Duration::from_millis(1)).await;
    assert_eq!(world.told(&target), "0 ready, told to fail");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_given_an_instance_whose_init_failed() {
    let world = World::new(Fake { uninitialized: BTreeSet::from([0]), ..Fake::default() });
    let target = world.deploy(0, None);
    world.provision(&target, 1);
    let granted = world.acquire(&target).await.unwrap();
    assert_eq!(world.fake.launches.load(Ordering::SeqCst), 1);
    granted.begin().finish();
    assert_eq!(world.told(&target), "0 ready, init failed");
}
