//! Collections for which there is no thread.

use std::sync::Arc;

use super::support::{pass, quick, secs};
use crate::{
    bus::{
        Health, core::Core, scheduler::Shared, testing::TestClock, topic::Topic,
        topic_info::TopicInfo,
    },
    metric::{Origin, Reason},
    source::Sources,
};

#[tokio::test(start_paused = true)]
async fn a_collection_without_a_thread_is_not_hung_and_has_its_whole_time_once_it_starts() {
    let core = Core::new(
        [Topic::new(TopicInfo::collected_by(
            quick().deadline(secs(5)),
        ))]
        .into(),
        Box::new(Shared),
        1 << 20,
        Sources::live(),
        Arc::new(TestClock::default()),
        tokio::runtime::Handle::current(),
        Origin::unknown(),
    );
    let topic = &core.topics[0];
    let now = || core.timeline.now_ns();
    let job = core.start_collection(0, &mut topic.state(now()), core.clock.now(), now());
    let job = job.expect("none is under way");
    let checked = || {
        let mut state = topic.state(now());
        state.check_deadline(&topic.info, now(), &core.budget);
        let reason = state.failing.as_ref().map(|failing| failing.reason.clone());
        let counters = state.counters;
        (reason, state.health(), counters.not_started, counters.hung)
    };
    pass(secs(4)).await;
    assert_eq!(checked(), (None, Health::Unknown, 0, 0));
    pass(secs(2)).await;
    let not_started = Some(Reason::NotStarted(secs(5)));
    assert_eq!(checked(), (not_started.clone(), Health::NotStarted, 1, 0));
    core.begin(topic, job.flight);
    pass(secs(4)).await;
    assert_eq!(checked(), (not_started, Health::Failing, 1, 0));
    pass(secs(2)).await;
    let hung = Some(Reason::Hung(secs(5)));
    assert_eq!(checked(), (hung, Health::Hung, 1, 1));
}
