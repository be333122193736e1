%% The workloads for Erlang's machine: plain processes, OTP's supervisor where one is needed. Prints
%% the same line of JSON as the others.
-module(bench).
-behaviour(supervisor).
-export([main/1, init/1, start_mortal/1, start_member/2]).

main([WorkloadText, NText]) ->
    %% Reports of crashes are what the restart workload makes thousands of.
    logger:set_primary_config(level, none),
    Workload = list_to_atom(WorkloadText),
    N = list_to_integer(NText),
    run(Workload, warm_up(Workload, N)),
    {Measured, WallNs, CpuNs, Extra} = run(Workload, N),
    io:format("{\"framework\":\"beam\",\"workload\":\"~s\",\"workers\":~b,\"n\":~b,"
              "\"wall_ns\":~.3f,\"cpu_ns\":~.3f~s}~n",
              [WorkloadText, erlang:system_info(schedulers), Measured, WallNs, CpuNs, Extra]),
    erlang:halt(0, [{flush, true}]).

warm_up(many_idle, _) -> 1000;
warm_up(skynet, _) -> 1000;
warm_up(_, N) -> max(1000, N div 10).

%% Measures F, which does Count operations.
timed(Count, F) -> timed(Count, F, "").

timed(Count, F, Extra) ->
    {Cpu0, _} = statistics(runtime),
    Start = erlang:monotonic_time(nanosecond),
    F(),
    Wall = erlang:monotonic_time(nanosecond) - Start,
    {Cpu1, _} = statistics(runtime),
    {Count, Wall / Count, (Cpu1 - Cpu0) * 1.0e6 / Count, Extra}.

await(Signal) -> receive Signal -> ok end.

%% Counts its messages, works at each, and signals the last one; answers questions.
sink(N, Main, Steps) -> spawn(fun() -> sink_loop(N, Main, Steps) end).

sink_loop(Left, Main, Steps) ->
    receive
        {number, _} ->
            work(Steps),
            if Left =:= 1 -> Main ! handled; true -> ok end,
            sink_loop(Left - 1, Main, Steps);
        {ask, From, Ref} ->
            From ! {Ref, Left},
            sink_loop(Left, Main, Steps)
    end.

work(0) -> ok;
work(Steps) -> work(Steps - 1).

%% Steps that take a microsecond.
steps_per_us() ->
    Steps = 5000000,
    {Us, ok} = timer:tc(fun() -> work(Steps) end),
    max(1, Steps div max(1, Us)).

repeat(0, _) -> ok;
repeat(N, F) -> F(N), repeat(N - 1, F).

ask(Pid) ->
    Ref = make_ref(),
    Pid ! {ask, self(), Ref},
    receive {Ref, Answer} -> Answer end.

%% Signals Main once so many things have happened.
countdown(N) ->
    Ref = atomics:new(1, []),
    atomics:put(Ref, 1, N),
    Ref.

count(Ref, Main, Signal) ->
    case atomics:sub_get(Ref, 1, 1) of
        0 -> Main ! Signal;
        _ -> ok
    end.

run(tell, N) ->
    Sink = sink(N, self(), 0),
    timed(N, fun() ->
        repeat(N, fun(I) -> Sink ! {number, I} end),
        await(handled)
    end);
run(fan_in, N) ->
    PerSender = N div 8,
    Sink = sink(PerSender * 8, self(), 0),
    timed(PerSender * 8, fun() ->
        repeat(8, fun(_) ->
            spawn(fun() -> repeat(PerSender, fun(I) -> Sink ! {number, I} end) end)
        end),
        await(handled)
    end);
run(fan_out, N) ->
    PerActor = N div 64,
    Main = self(),
    Steps = 2 * steps_per_us(),
    Sinks = [sink(PerActor, Main, Steps) || _ <- lists:seq(1, 64)],
    timed(PerActor * 64, fun() ->
        repeat(PerActor, fun(I) -> [Sink ! {number, I} || Sink <- Sinks] end),
        [await(handled) || _ <- Sinks]
    end);
run(named_send, N) ->
    PerActor = N div 1000,
    Main = self(),
    Names = [named(PerActor, Main, I * 7919 rem 1000) || I <- lists:seq(0, 999)],
    timed(PerActor * 1000, fun() ->
        repeat(PerActor, fun(I) -> [Name ! {number, I} || Name <- Names] end),
        [await(handled) || _ <- Names]
    end);
run(ask, N) ->
    Sink = sink(1, self(), 0),
    timed(N, fun() -> repeat(N, fun(_) -> ask(Sink) end) end);
run(ask_many, N) ->
    PerAsker = N div 64,
    Main = self(),
    Sink = sink(1, Main, 0),
    timed(PerAsker * 64, fun() ->
        repeat(64, fun(_) ->
            spawn(fun() -> repeat(PerAsker, fun(_) -> ask(Sink) end), Main ! asked end)
        end),
        repeat(64, fun(_) -> await(asked) end)
    end);
run(pipeline, N) ->
    Sink = sink(1, self(), 0),
    Ref = make_ref(),
    timed(N, fun() ->
        repeat(50, fun(_) -> Sink ! {ask, self(), Ref} end),
        repeat(N - 50, fun(_) ->
            receive {Ref, _} -> ok end,
            Sink ! {ask, self(), Ref}
        end),
        repeat(50, fun(_) -> receive {Ref, _} -> ok end end)
    end);
run(ping_pong, N) -> round_trip(2, N);
run(ring, N) -> round_trip(1000, N);
run(broadcast, N) ->
    Main = self(),
    Rounds = N div 1000,
    Handled = countdown(1000),
    Members = [spawn(fun() -> member(Handled, Main) end) || _ <- lists:seq(1, 1000)],
    %% Binaries of at most 64 bytes are copied, longer ones shared.
    Payload = binary:copy(<<7>>, 65),
    timed(Rounds * 1000, fun() ->
        repeat(Rounds, fun(_) ->
            atomics:put(Handled, 1, 1000),
            [Member ! {shared, Payload} || Member <- Members],
            await(handled)
        end)
    end);
run(spawn, N) ->
    Main = self(),
    {Started, Handled} = {countdown(N), countdown(N)},
    timed(N, fun() ->
        repeat(N, fun(_) -> spawn(fun() -> newborn(Started, Handled, Main) end) end),
        await(started)
    end);
run(spawn_supervised, N) ->
    {ok, Supervisor} = supervisor:start_link(?MODULE, {crowd, self()}),
    Started = countdown(N),
    timed(N, fun() ->
        repeat(N, fun(_) -> {ok, _} = supervisor:start_child(Supervisor, [Started]) end),
        await(started)
    end);
run(many_idle, N) ->
    Main = self(),
    {Started, Handled} = {countdown(N), countdown(N)},
    Before = resident(),
    {Count, Wall, Cpu, _} = timed(N, fun() ->
        Pids = [spawn(fun() -> newborn(Started, Handled, Main) end) || _ <- lists:seq(1, N)],
        await(started),
        put(idle, resident()),
        [Pid ! {number, 1} || Pid <- Pids],
        await(handled),
        put(pids, Pids)
    end),
    Each = fun(Bytes) -> (Bytes - Before) / N end,
    Extra = io_lib:format(",\"bytes\":~.1f,\"extra\":{\"bytes_after\":~.1f}",
                          [Each(get(idle)), Each(resident())]),
    {Count, Wall, Cpu, Extra};
run(skynet, N) ->
    Leaves = largest_power(10, N),
    timed(Leaves, fun() ->
        node(self(), 0, Leaves),
        Sum = Leaves * (Leaves - 1) div 2,
        receive {sum, Sum} -> ok end
    end);
run(restart, N) ->
    %% A supervisor looks at each restart of the last second whenever it restarts: a fresh one every
    %% 100 restarts, so that this is not what is measured.
    process_flag(trap_exit, true),
    Batches = max(1, N div 100),
    put(samples, []),
    {Count, _, Cpu, _} = timed(Batches * 100, fun() ->
        repeat(Batches, fun(_) ->
            {ok, Supervisor} = supervisor:start_link(?MODULE, {mortal, self()}),
            lives(100, receive {up, Pid} -> Pid end),
            exit(Supervisor, shutdown),
            receive {'EXIT', Supervisor, _} -> ok end
        end)
    end),
    Sorted = lists:sort(get(samples)),
    At = fun(Share) -> lists:nth(1 + trunc((Count - 1) * Share), Sorted) end,
    Extra = io_lib:format(",\"extra\":{\"median_ns\":~b,\"p99_ns\":~b}", [At(0.5), At(0.99)]),
    {Count, lists:sum(Sorted) / Count, Cpu, Extra};
run(system_behind, N) ->
    Handled = atomics:new(1, []),
    Pid = spawn(fun() -> receive open -> ok end, counting(Handled) end),
    repeat(N, fun(I) -> Pid ! {number, I} end),
    Ref = monitor(process, Pid),
    {_, Wall, Cpu, _} = timed(1, fun() ->
        exit(Pid, shutdown),
        receive {'DOWN', Ref, process, Pid, _} -> ok end
    end),
    Extra = io_lib:format(",\"extra\":{\"handled\":~b}", [atomics:get(Handled, 1)]),
    {N, Wall, Cpu, Extra}.

named(PerActor, Main, I) ->
    Name = list_to_atom("worker-" ++ integer_to_list(erlang:unique_integer([positive])) ++ "-"
                        ++ integer_to_list(I)),
    register(Name, sink(PerActor, Main, 0)),
    Name.

round_trip(Size, N) ->
    Main = self(),
    Stations = [spawn(fun() -> receive {link, Next} -> station(Next, Main) end end)
                || _ <- lists:seq(1, Size)],
    [First | Rest] = Stations,
    lists:zipwith(fun(Station, Next) -> Station ! {link, Next} end, Stations, Rest ++ [First]),
    timed(N, fun() ->
        First ! {hops_left, N},
        await(done)
    end).

station(Next, Main) ->
    receive
        {hops_left, 0} -> Main ! done;
        {hops_left, N} -> Next ! {hops_left, N - 1}
    end,
    station(Next, Main).

member(Handled, Main) ->
    receive _ -> count(Handled, Main, handled) end,
    member(Handled, Main).

newborn(Started, Handled, Main) ->
    count(Started, Main, started),
    member(Handled, Main).

node(Parent, First, 1) ->
    spawn(fun() -> Parent ! {sum, First} end);
node(Parent, First, Leaves) ->
    spawn(fun() ->
        PerChild = Leaves div 10,
        [node(self(), First + I * PerChild, PerChild) || I <- lists:seq(0, 9)],
        Parent ! {sum, sum(10, 0)}
    end).

sum(0, Sum) -> Sum;
sum(Missing, Sum) -> receive {sum, More} -> sum(Missing - 1, Sum + More) end.

largest_power(Power, N) when Power * 10 > N -> Power;
largest_power(Power, N) -> largest_power(Power * 10, N).

lives(0, _) -> ok;
lives(N, Pid) ->
    Start = erlang:monotonic_time(nanosecond),
    Pid ! poison,
    Next = receive {up, Successor} -> Successor end,
    Next ! {number, N},
    await(handled),
    put(samples, [erlang:monotonic_time(nanosecond) - Start | get(samples)]),
    lives(N - 1, Next).

counting(Handled) ->
    receive {number, _} -> atomics:add(Handled, 1, 1) end,
    counting(Handled).

%% Supervisors.

init({mortal, Main}) ->
    %% Never gives up.
    Flags = #{strategy => one_for_one, intensity => 1000000, period => 1},
    {ok, {Flags, [#{id => mortal, start => {?MODULE, start_mortal, [Main]}}]}};
init({crowd, Main}) ->
    {ok, {#{strategy => simple_one_for_one}, [#{id => member, start => {?MODULE, start_member, [Main]}}]}}.

start_mortal(Main) ->
    {ok, proc_lib:spawn_link(fun() -> Main ! {up, self()}, mortal(Main) end)}.

mortal(Main) ->
    receive
        {number, _} -> Main ! handled, mortal(Main);
        poison -> error(poison)
    end.

start_member(Main, Started) ->
    {ok, proc_lib:spawn_link(fun() -> newborn(Started, Started, Main) end)}.

resident() ->
    {ok, File} = file:open("/proc/self/statm", [read, raw]),
    {ok, Text} = file:read(File, 256),
    ok = file:close(File),
    [_, Pages | _] = string:lexemes(Text, " "),
    list_to_integer(Pages) * 4096.
