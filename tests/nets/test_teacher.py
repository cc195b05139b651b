import torch
from torch import nn

from runner.nets.averaging import move_towards
from runner.nets.teacher import Teacher


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def change(net: nn.Module) -> None:
    with torch.no_grad():
        for tensor in [*net.parameters(), *net.buffers()]:
            tensor += 1


def test_averages_go_a_share_of_the_way() -> None:
    average, value = torch.tensor([0.0, 2.0]), torch.tensor([4.0, 2.0])
    move_towards([average], [value], torch.tensor(0.25))
    assert average.tolist() == [1.0, 2.0]


def test_the_decay_ramps_up_to_what_was_asked_for() -> None:
    student = net()
    teacher = Teacher(student, 0.5)
    wanted = student[0].weight.detach().clone()
    for steps in range(12):
        change(student)
        decay = min(0.5, (1 + steps) / (10 + steps))
        wanted = decay * wanted + (1 - decay) * student[0].weight.detach()
        teacher.follow(student)
    torch.testing.assert_close(teacher.net[0].weight, wanted)


def test_statistics_are_copied() -> None:
    student = net()
    teacher = Teacher(student, 0.9)
    change(student)
    teacher.follow(student)
    assert torch.equal(teacher.net[1].running_mean, student[1].running_mean)
    assert torch.equal(teacher.net[1].num_batches_tracked, student[1].num_batches_tracked)


def test_a_teacher_stays_in_evaluation_mode_and_is_not_trained() -> None:
    around = nn.Sequential(net(), Teacher(net(), 0.9)).train()
    teacher = around[1]
    assert around[0][1].training and not teacher.net[1].training
    assert not any(p.requires_grad for p in teacher.parameters())


def test_what_is_loaded_goes_on_where_it_was() -> None:
    student = net()
    teacher, other = Teacher(student, 0.9), Teacher(net(), 0.9)
    for _ in range(3):
        change(student)
        teacher.follow(student)
    other.load_state_dict(teacher.state_dict())
    for each in (teacher, other):
        change(student)
        each.follow(student)
        change(student)
    # Both have gone on from the third step, the second towards weights that had moved on twice.
    assert teacher.steps == other.steps == 4
    assert (other.net[0].weight > teacher.net[0].weight).all()
